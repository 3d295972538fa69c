"""Copies of networks: they share nothing, and models inside keep what their classes compute."""

import gc
import weakref
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from tfrobust.errors import InputError
from tfrobust.models import depthwise, mirrored
from tfrobust.models.convert import full_precision, smoothed
from tfrobust.models.copies import duplicate

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


def own_loss(labels: Any, logits: Any) -> Any:
    return keras.losses.sparse_categorical_crossentropy(labels, logits, from_logits=True)


def pooled() -> keras.Model:
    """Compiled with a loss that Keras does not know by a name."""
    images = keras.Input((8, 8, 4))
    features = layers.GlobalAveragePooling2D()(functional()(images))
    network = keras.Model(images, layers.Dense(3)(features), name="pooled")
    network.compile("sgd", loss=own_loss)
    return network


def test_a_copy_shares_nothing_and_the_loss_is_of_the_network_alone() -> None:
    network = pooled()
    twin = duplicate(network)
    np.testing.assert_array_equal(twin(IMAGES), network(IMAGES))
    twin.set_weights([np.zeros_like(weight) for weight in twin.get_weights()])
    assert np.abs(network(IMAGES)).max() > 0 and network.compiled and not twin.compiled
    both = [network(IMAGES), network(IMAGES[:, :, ::-1])]
    # Logits of size 1, summed in another order in float32.
    np.testing.assert_allclose(mirrored(network)(IMAGES), np.mean(both, axis=0), atol=1e-5)


def joined() -> keras.Model:
    """Operations beside layers, a layer in two models, a Lambda, and a flag of its own."""
    images = keras.Input((8, 8, 4))
    shared = layers.Conv2D(4, 1, name="shared")
    inside = keras.Model(images, shared(images), trainable=False)
    first = shared(images)
    both = layers.Lambda(lambda one: 2 * one)(first + keras.ops.flip(inside(first), axis=2))
    return keras.Model(images, layers.Dense(3)(layers.GlobalAveragePooling2D()(both)))


def test_layers_in_two_models_operations_and_flags_are_copied() -> None:
    network = joined()
    twin = duplicate(network)
    np.testing.assert_array_equal(twin(IMAGES), network(IMAGES))
    assert len(twin.weights) == len(network.weights) == 4
    (inside,) = [layer for layer in twin.layers if isinstance(layer, keras.Model)]
    assert not inside.trainable and inside.layers[1].trainable and twin.trainable
    assert len(twin.trainable_weights) == 4


@pytest.mark.parametrize("copy", [duplicate, full_precision])
def test_a_copy_goes_when_nobody_has_it(copy: Callable[[keras.Model], keras.Model]) -> None:
    images = keras.Input((8, 8, 4))
    first = layers.Conv2D(4, 1)(images)
    network = keras.Model(images, first + keras.ops.flip(first, axis=2))
    twin = copy(network)
    gone = weakref.ref(twin.weights[0])
    del twin
    gc.collect()
    assert gone() is None


def test_a_subclassed_network_that_says_how_it_was_made_is_copied() -> None:
    class Own(keras.Model):
        def __init__(self, units: int, **options: Any) -> None:
            super().__init__(**options)
            self.units, self.head = units, layers.Dense(units)

        def build(self, shape: tuple[int, ...]) -> None:
            self.head.build((None, 256))

        def call(self, images: Any) -> Any:
            return self.head(keras.ops.reshape(images, (-1, 256)))

        def get_config(self) -> dict[str, Any]:
            return {**super().get_config(), "units": self.units}

    network = Own(3)
    expected = network(IMAGES)
    np.testing.assert_array_equal(duplicate(network)(IMAGES), expected)


def test_a_layer_that_does_not_say_how_it_was_made_is_named() -> None:
    class Scaled(layers.Layer):
        def __init__(self, factor: np.ndarray, **options: Any) -> None:
            super().__init__(**options)
            self.factor = factor

        def call(self, images: Any) -> Any:
            return images * self.factor

        def get_config(self) -> dict[str, Any]:
            return super().get_config()

    images = keras.Input((8, 8, 4))
    scaled = Scaled(np.ones(4, np.float32), name="scaled")(images)
    features = layers.GlobalAveragePooling2D()(scaled)
    network = keras.Model(images, layers.Dense(3)(features), name="pooled")
    with pytest.raises(InputError, match=r"scaled in pooled, a Scaled, .*get_config"):
        mirrored(network)
