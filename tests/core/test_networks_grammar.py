"""Random small Keras networks from a grammar of layers: through the door they equal `predict`."""

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st
from keras import layers

from tfrobust.core.door import as_classifier
from tfrobust.core.input_range import BYTES, UNIT, in_range
from tfrobust.core.outputs import from_logits

SIDE, CLASSES = 9, 4
ACTIVATIONS = ("relu", "gelu", "silu", "elu", "tanh", "softplus", "leaky_relu", None)
PADDINGS = ("same", "valid")


def convolution(draw: Any) -> list[Any]:
    kind = draw(st.sampled_from([layers.Conv2D, layers.SeparableConv2D, layers.Conv2DTranspose]))
    activation, padding = draw(st.sampled_from(ACTIVATIONS)), draw(st.sampled_from(PADDINGS))
    size, strides = draw(st.integers(1, 3)), draw(st.integers(1, 2))
    return [kind(draw(st.integers(1, 5)), size, strides, padding, activation=activation)]


def depthwise(draw: Any) -> list[Any]:
    return [layers.DepthwiseConv2D(draw(st.integers(1, 3)), padding="same")]


def normalization(draw: Any) -> list[Any]:
    kinds = [layers.BatchNormalization, layers.LayerNormalization, layers.UnitNormalization]
    return [draw(st.sampled_from(kinds))()]


def pooling(draw: Any) -> list[Any]:
    kind = draw(st.sampled_from([layers.MaxPooling2D, layers.AveragePooling2D]))
    return [kind(2, padding="same")]


def arranging(draw: Any) -> list[Any]:
    return [draw(st.sampled_from([layers.ZeroPadding2D(1), layers.UpSampling2D(2)]))]


def for_training(draw: Any) -> list[Any]:
    made = [layers.Dropout(0.5), layers.SpatialDropout2D(0.5), layers.GaussianNoise(1.0)]
    return [draw(st.sampled_from(made))]


def branch(draw: Any) -> list[Any]:
    """Two ways that meet again: added, multiplied or side by side."""
    filters = draw(st.integers(1, 4))
    sides = [layers.Conv2D(filters, size, padding="same") for size in (1, 3)]
    merge = draw(st.sampled_from([layers.Add(), layers.Multiply(), layers.Concatenate()]))
    return [lambda values: merge([side(values) for side in sides])]


def nested(draw: Any) -> list[Any]:
    made = [layers.Conv2D(3, 2, padding="same"), layers.ReLU()]
    return [keras.Sequential(made[: draw(st.integers(1, 2))])]


def attention(draw: Any) -> list[Any]:
    heads = layers.MultiHeadAttention(draw(st.integers(1, 2)), 2, attention_axes=(1, 2))
    return [lambda values: values + heads(values, values)]


BODY = [
    convolution,
    depthwise,
    normalization,
    pooling,
    arranging,
    for_training,
    branch,
    nested,
    attention,
]
FRONT: list[tuple[Any, Any]] = [
    (lambda: [], UNIT),
    (lambda: [layers.Rescaling(1 / 255)], BYTES),
    (lambda: [layers.RandomFlip(), layers.Rescaling(1 / 127.5, -1)], BYTES),
    (lambda: [layers.Normalization(mean=110, variance=60**2)], BYTES),
    (lambda: [layers.RandomContrast(0.5)], UNIT),
]
ENDS: list[Any] = [
    lambda: [layers.Dense(CLASSES)],
    lambda: [layers.Dense(CLASSES, "softmax")],
    lambda: [layers.Dense(CLASSES), layers.Softmax()],
    lambda: [layers.Dense(CLASSES), keras.ops.softmax],
    lambda: [layers.Dense(CLASSES, "log_softmax")],
    lambda: [layers.Dense(CLASSES), layers.BatchNormalization(), layers.Activation("softmax")],
    lambda: [layers.Dense(1)],
    lambda: [layers.Dense(1, "sigmoid")],
    lambda: [layers.Dense(1), keras.ops.sigmoid],
]


class Subclassed(keras.Model):
    """The same network out of sight."""

    def __init__(self, inner: keras.Model) -> None:
        super().__init__()
        self.inner = inner

    def call(self, images: Any, training: bool | None = None) -> Any:
        return self.inner(images, training=training)


@st.composite
def networks(draw: Any) -> tuple[keras.Model, Any]:
    """A network, and the range of its pixels."""
    keras.utils.set_random_seed(draw(st.integers(0, 2**16)))
    before, input_range = draw(st.sampled_from(FRONT))
    made = before()
    for part in draw(st.lists(st.sampled_from(BODY), max_size=4)):
        made += part(draw)
    flat = [layers.Flatten(), layers.GlobalAveragePooling2D(), layers.GlobalMaxPooling2D()]
    made += [draw(st.sampled_from(flat)), *draw(st.sampled_from(ENDS))()]
    channels = draw(st.integers(1, 4))
    values = images = keras.Input((SIDE, SIDE, channels))
    for part in made:
        values = part(values)
    network = keras.Model(images, values)
    rng = np.random.default_rng(0)
    for variable in network.variables:  # of batch normalisation, they begin as if there were none
        if "moving" in variable.path:
            variable.assign(rng.uniform(0.5, 2.0, variable.shape))
    form = draw(st.sampled_from(["functional", "nested", "subclassed"]))
    if form == "nested":
        outer = keras.Input((SIDE, SIDE, channels))
        network = keras.Model(outer, network(outer))
    elif form == "subclassed":
        network = Subclassed(network)
        network(np.zeros((1, SIDE, SIDE, channels), np.float32))
        input_range = UNIT  # nothing can be read of it
    return network, input_range


def equals_predict(made: tuple[keras.Model, Any]) -> None:
    network, input_range = made
    classifier = as_classifier(network)
    assert (classifier.input_range or UNIT) == input_range
    _, height, width, channels = classifier.input_shape
    images = np.random.default_rng(1).random((3, height, width, channels), np.float32)
    try:
        own = network.predict(in_range(images, input_range), verbose=0)
    except tf.errors.AbortedError:  # oneDNN cannot compute some layers, for Keras no more than here
        reject()
    logits = classifier(images)
    assert logits.shape == (3, classifier.check(images))
    # Of large values the last bits differ, as graphs add in another order.
    np.testing.assert_allclose(from_logits(logits, classifier.form), own, rtol=1e-3, atol=1e-4)


HEALTH = {"deadline": None, "suppress_health_check": list(HealthCheck), "derandomize": True}


@settings(max_examples=8, **HEALTH)
@given(networks())
def test_a_random_network_answers_as_it_predicts(made: tuple[keras.Model, Any]) -> None:
    equals_predict(made)


@pytest.mark.slow
@settings(max_examples=500, **HEALTH)
@given(networks())
def test_500_random_networks_answer_as_they_predict(made: tuple[keras.Model, Any]) -> None:
    equals_predict(made)
