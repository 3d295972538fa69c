"""Copies of networks with some layers exchanged: models inside keep what their classes compute."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from tfrobust.models import depthwise
from tfrobust.models.convert import full_precision, smoothed

IMAGES = np.random.default_rng(0).normal(size=(4, 8, 8, 4)).astype(np.float32)


class ResidualParts(keras.Sequential):
    def call(self, images: Any, training: bool | None = None, mask: Any = None) -> Any:
        return images + super().call(images, training=training)


class ResidualGraph(keras.Model):
    def call(self, images: Any, training: bool | None = None, mask: Any = None) -> Any:
        return images + super().call(images, training=training)


def parts() -> list[layers.Layer]:
    return [
        layers.Conv2D(4, 3, groups=4, padding="same"),
        layers.Conv2D(4, 1, activation="relu"),
    ]


def sequential() -> keras.Model:
    return ResidualParts([keras.Input((8, 8, 4)), *parts()])


def functional() -> keras.Model:
    images = keras.Input((8, 8, 4))
    first, second = parts()
    return ResidualGraph(images, second(first(images)))


def parts_of(network: keras.Model) -> list[layers.Layer]:
    inside = network._flatten_layers(include_self=False)
    kinds = (keras.Model, layers.InputLayer)
    return [part for part in inside if not isinstance(part, kinds)]


@pytest.mark.parametrize("make", [sequential, functional])
def test_a_model_inside_keeps_its_own_call(make: Callable[[], keras.Model]) -> None:
    images = keras.Input((8, 8, 4))
    network = keras.Model(images, layers.Flatten()(make()(layers.Conv2D(4, 1)(images))))
    twin = depthwise(network)
    assert any(isinstance(part, layers.DepthwiseConv2D) for part in twin._flatten_layers())
    np.testing.assert_allclose(twin(IMAGES), network(IMAGES), atol=2e-5)
    whole = full_precision(network, "float64")
    assert {part.compute_dtype for part in parts_of(whole)} == {"float64"}
    np.testing.assert_allclose(whole(IMAGES), network(IMAGES), atol=2e-5)
    smooth = smoothed(network)
    assert len(smooth.exchanged) == 1
    # h lies between ReLU - 1/4 and ReLU.
    difference = np.asarray(network(IMAGES)) - np.asarray(smooth.network(IMAGES))
    assert difference.min() > -2e-5 and difference.max() < 0.25 + 2e-5
