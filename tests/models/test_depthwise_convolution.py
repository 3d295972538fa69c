"""Grouped convolutions of one channel each, as depthwise ones."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from tfrobust.models import depthwise

IMAGES = np.random.default_rng(0).normal(size=(4, 8, 8, 4)).astype(np.float32)


def network(**options: Any) -> keras.Model:
    given = {"filters": 4, "kernel_size": 3, "groups": 4, **options}
    convolution = layers.Conv2D(**given, bias_initializer="random_normal", name="grouped")
    return keras.Sequential(
        [keras.Input((8, 8, 4)), convolution, layers.Flatten(), layers.Dense(3)]
    )


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"filters": 12},
        {"padding": "same", "strides": 2, "kernel_size": (5, 3), "activation": "gelu"},
        {"dilation_rate": 2, "use_bias": False},
    ],
)
def test_it_computes_the_same(options: dict[str, Any], tmp_path: Path) -> None:
    grouped = network(**options)
    twin = depthwise(grouped)
    layer = twin.get_layer("grouped")
    assert isinstance(layer, layers.DepthwiseConv2D)
    # Sums of up to 60 float32 products of about 1 in another order.
    np.testing.assert_allclose(twin(IMAGES), grouped(IMAGES), atol=2e-5)
    twin.save(tmp_path / "twin.keras")
    loaded = keras.models.load_model(tmp_path / "twin.keras")
    np.testing.assert_array_equal(loaded(IMAGES), twin(IMAGES))


def test_inside_other_models_and_beside_shared_layers() -> None:
    images = keras.Input((8, 8, 4))
    block = keras.Sequential([keras.Input((8, 8, 4)), layers.Conv2D(4, 3, groups=4)])
    shared = layers.Conv2D(4, 1)
    grouped = keras.Model(images, shared(block(shared(images))))
    twin = depthwise(grouped)
    assert [type(part).__name__ for part in twin._flatten_layers()].count("DepthwiseConv2D") == 1
    np.testing.assert_allclose(twin(IMAGES), grouped(IMAGES), atol=2e-5)


def test_code_of_ones_own_stays_that_keras_could_not_read_back() -> None:
    def steep(values: Any) -> Any:
        return 2 * values

    grouped = network(activation=steep)
    grouped.compile("sgd", loss=lambda labels, logits: keras.ops.mean(logits))
    grouped.added = layers.Dense(2)  # outside of the graph
    grouped.added.build((None, 3))
    twin = depthwise(grouped)
    assert twin.get_layer("grouped").activation is steep
    assert grouped.compiled and not twin.compiled
    np.testing.assert_allclose(twin(IMAGES), grouped(IMAGES), atol=2e-5)


def test_what_lora_added_stays() -> None:
    grouped = network()
    grouped.get_layer("grouped").enable_lora(1)
    assert depthwise(grouped) is grouped


def test_one_that_a_layer_does_not_use_is_left_unbuilt() -> None:
    class Idle(layers.Layer):
        def __init__(self) -> None:
            super().__init__()
            self.convolution = layers.Conv2D(4, 3, groups=4)

        def call(self, images: Any) -> Any:
            return images

    grouped = keras.Sequential([keras.Input((8, 8, 4)), Idle(), layers.Flatten()])
    assert depthwise(grouped) is grouped


def test_layers_keep_whether_they_are_trained_and_in_what_precision() -> None:
    grouped = network(dtype="mixed_bfloat16", trainable=False)
    layer = depthwise(grouped).get_layer("grouped")
    assert layer.compute_dtype == "bfloat16"
    assert not layer.trainable


@pytest.mark.parametrize(
    "options",
    [
        {"groups": 1},
        {"groups": 2},
        {"strides": (1, 2)},
        {"kernel_regularizer": "l2"},
        {"kernel_constraint": "max_norm"},
    ],
)
def test_what_is_no_depthwise_convolution_stays(options: dict[str, Any]) -> None:
    grouped = network(**options)
    assert depthwise(grouped) is grouped


def test_a_subclassed_network_stays() -> None:
    class Mine(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.convolution = layers.Conv2D(4, 3, groups=4)

        def call(self, images: Any) -> Any:
            return self.convolution(images)

    mine = Mine()
    mine(IMAGES)
    assert depthwise(mine) is mine
