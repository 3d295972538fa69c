"""Conversions of networks with ReLU."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from networks import in_policy

from tfrobust.core.layers import half_huber_relu
from tfrobust.errors import InputError
from tfrobust.models import half_huber, resnet_cifar
from tfrobust.models.convert import VARIANT, full_precision, smoothed, softplus

IMAGES = np.random.default_rng(0).normal(size=(4, 8, 8, 1)).astype(np.float32)


def network(*last: Any) -> keras.Model:
    return keras.Sequential([keras.Input((8, 8, 1)), *last])


def functional(operation: Any) -> keras.Model:
    images = keras.Input((8, 8, 1))
    return keras.Model(images, operation(layers.Conv2D(2, 3)(images)))


def test_a_converted_resnet_is_the_resnet_built_so() -> None:
    relu, expected = (
        resnet_cifar(depth=8, width=2, num_classes=3, input_shape=(8, 8, 1), activation=name)
        for name in ("relu", "half_huber_relu")
    )
    expected.set_weights(relu.get_weights())
    before = np.asarray(relu(IMAGES))
    np.testing.assert_array_equal(half_huber(relu)(IMAGES), expected(IMAGES))
    np.testing.assert_array_equal(relu(IMAGES), before)


CASES = {
    "activation of a layer": lambda: network(layers.Conv2D(2, 3, activation="relu")),
    "Activation": lambda: network(layers.Conv2D(2, 3), layers.Activation("relu")),
    "ReLU": lambda: network(layers.Conv2D(2, 3), layers.ReLU()),
    "operation": lambda: functional(keras.ops.relu),
    "nested": lambda: functional(keras.Sequential([keras.Input((6, 6, 2)), layers.ReLU()])),
}


@pytest.mark.parametrize("kind", CASES)
def test_every_form_of_relu_is_exchanged(kind: str, tmp_path: Path) -> None:
    relu = CASES[kind]()
    twin = half_huber(relu)
    # h(ReLU(a)) = h(a), so both networks can be compared by hand.
    a = np.asarray(relu(IMAGES), np.float64)
    assert a.max() > 0.5
    expected = np.where(a <= 0.5, a**2, a - 0.25)
    # float32 carries 1.2e-7 of values of about 2.
    np.testing.assert_allclose(twin(IMAGES), expected, atol=1e-6)
    twin.save(tmp_path / "twin.keras")
    loaded = keras.models.load_model(tmp_path / "twin.keras")
    np.testing.assert_array_equal(loaded(IMAGES), twin(IMAGES))
    assert [layer.name for layer in loaded.layers] == [layer.name for layer in twin.layers]


@pytest.mark.parametrize(
    ("relu", "message"),
    [
        (lambda: network(layers.ReLU(max_value=6)), "ceiling"),
        (lambda: network(layers.ReLU(negative_slope=0.1)), "slope"),
        (lambda: network(layers.LeakyReLU()), "slope"),
        (lambda: network(layers.Dense(2, activation="relu6")), "ceiling"),
        (lambda: functional(keras.ops.leaky_relu), "slope"),
        (lambda: network(layers.Dense(2, activation="gelu")), "got none"),
        (lambda: network(layers.TimeDistributed(layers.Dense(2, activation="relu"))), "inside"),
        (lambda: keras.Sequential([layers.ReLU()]), "built"),
        (lambda: "relu", "built"),
    ],
)
def test_what_cannot_be_converted_is_refused(relu: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        half_huber(relu())


def test_what_cannot_be_converted_is_left_and_named() -> None:
    mixed = network(
        layers.Conv2D(2, 3, activation="relu", name="first"),
        layers.ReLU(max_value=6, name="six"),
        layers.Conv2D(2, 3, activation="hard_swish", name="hard"),
        layers.Dense(4, activation="gelu", name="soft"),
        layers.TimeDistributed(layers.Dense(3, activation="relu", name="inner"), name="outer"),
        layers.Dense(2, activation="softmax", name="last"),
    )
    found = smoothed(mixed)
    assert found.exchanged == ("first",)
    assert found.left == {
        "six": VARIANT,
        "hard": "hard swish",
        "soft": "gelu",
        "inner inside the layer outer": "ReLU",
    }
    # Only the first activation differs: h(a) = a − ¼ above ½.
    twin = network(*(type(one).from_config(one.get_config()) for one in mixed.layers))
    twin.set_weights(mixed.get_weights())
    twin.layers[0].activation = half_huber_relu
    np.testing.assert_array_equal(found.network(IMAGES), twin(IMAGES))
    assert np.abs(np.asarray(found.network(IMAGES)) - np.asarray(mixed(IMAGES))).max() > 0


class Scaled(layers.Layer):
    """A layer of a stranger, which does not say how it was made."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def call(self, images: tf.Tensor) -> tf.Tensor:
        return images * self.factor


class Subclassed(keras.Model):
    def __init__(self) -> None:
        super().__init__()
        self.last = layers.Dense(2, activation="relu", name="last")

    def call(self, images: tf.Tensor) -> tf.Tensor:
        return self.last(images)


def test_layers_that_do_not_say_how_they_were_made_stay() -> None:
    strange = network(Scaled(3.0), layers.Conv2D(2, 3, activation="relu", name="first"))
    before = np.asarray(strange(IMAGES), np.float64)
    found = smoothed(strange)
    assert found.exchanged == ("first",)
    # h(ReLU(a)) = h(a), within what float32 carries of values of about 5.
    expected = np.where(before <= 0.5, before**2, before - 0.25)
    np.testing.assert_allclose(found.network(IMAGES), expected, atol=3e-6)


def test_a_subclassed_network_is_left_and_its_relus_are_named() -> None:
    subclassed = Subclassed()
    subclassed(IMAGES)
    assert smoothed(subclassed) == (subclassed, (), {"last": "ReLU"})


@pytest.mark.parametrize("last", [layers.Dense(2, activation="gelu"), layers.LeakyReLU()])
def test_a_network_without_relus_is_left_as_it_is(last: keras.layers.Layer) -> None:
    smooth = network(last)
    assert smoothed(smooth).network is smooth and len(smoothed(smooth).left) == 1


def test_a_network_of_half_precision_in_full() -> None:
    options = {"depth": 8, "width": 2, "num_classes": 3, "input_shape": (8, 8, 1)}
    half = in_policy("mixed_bfloat16", lambda: resnet_cifar(**options))
    expected = resnet_cifar(**options)
    expected.set_weights(half.get_weights())
    full = full_precision(half)
    assert {layer.compute_dtype for layer in full.layers} == {"float32"}
    np.testing.assert_array_equal(full(IMAGES), expected(IMAGES))
    assert np.abs(np.asarray(full(IMAGES)) - np.asarray(half(IMAGES))).max() > 0
    # The copy has weights of its own, so training one network does not change the other.
    full.layers[2].kernel.assign_add(np.ones_like(full.layers[2].kernel))
    np.testing.assert_array_equal(half.get_weights()[0], expected.get_weights()[0])


def nested() -> keras.Model:
    """Models inside, behind layers that compute: their inputs are made for what these give."""
    images = keras.Input((8, 8, 1))
    stem = keras.Sequential([layers.Conv2D(3, 3), layers.LayerNormalization()])
    between = keras.Input((6, 6, 3), dtype=keras.config.dtype_policy().compute_dtype)
    block = keras.Model(between, layers.Conv2D(2, 3)(between))
    features = block(stem(layers.Rescaling(1 / 3)(images)))
    return keras.Model(images, layers.Dense(3, dtype="float32")(layers.Flatten()(features)))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_models_inside_take_images_in_full_precision_too(dtype: str) -> None:
    half = in_policy("mixed_bfloat16", nested)
    expected = nested()
    expected.set_weights(half.get_weights())
    full = full_precision(half, dtype)
    # float32 carries 6e-8 of values of about 1, and bfloat16 4e-3.
    np.testing.assert_allclose(full(IMAGES), expected(IMAGES), atol=2e-6)
    assert {
        tensor.dtype for layer in full.layers for tensor in keras.tree.flatten(layer.input)
    } == {dtype}


@pytest.mark.parametrize("kind", CASES)
def test_softplus_is_near_relu_and_has_a_second_derivative(kind: str) -> None:
    relu = CASES[kind]()
    smooth = softplus(relu, sharpness=50)
    # log(1 + exp(βa))/β exceeds max(a, 0) by at most log(2)/β.
    gap = np.asarray(smooth(IMAGES), np.float64) - np.asarray(relu(IMAGES), np.float64)
    assert gap.min() >= -1e-6 and gap.max() <= np.log(2) / 50 + 1e-6 and gap.max() > 1e-4
    images = tf.constant(IMAGES)
    with tf.GradientTape() as outer:
        outer.watch(images)
        with tf.GradientTape() as inner:
            inner.watch(images)
            total = tf.reduce_sum(smooth(images))
        steepness = tf.reduce_sum(inner.gradient(total, images) ** 2)
    assert np.abs(outer.gradient(steepness, images)).max() > 0


def test_softplus_refuses_a_sharpness_of_nothing() -> None:
    with pytest.raises(InputError, match="above 0"):
        softplus(CASES["ReLU"](), sharpness=0)
