"""What people bring: the same small classifier in every form that the door takes."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from tfrobust.core.opaque import Opaque

SHAPE = (8, 6, 1)
IMAGES = np.random.default_rng(1).random((5, *SHAPE), np.float32)


@functools.cache
def weights() -> list[np.ndarray]:
    """Of the convolution and the dense layer: kernels and biases."""
    rng = np.random.default_rng(4)
    shapes = [(3, 3, 1, 4), (4,), (4 * 4 * 6, 3), (3,)]
    return [rng.normal(0, 0.5, shape).astype(np.float32) for shape in shapes]


def with_weights(network: Any) -> Any:
    """The network with the weights of `plain`, whatever else it holds."""
    arrays = iter(weights())
    for layer in network._flatten_layers(include_self=False):
        if isinstance(layer, layers.Conv2D | layers.Dense):
            layer.set_weights([next(arrays), next(arrays)])
    return network


def parts(activation: str | None = None) -> list[layers.Layer]:
    return [
        layers.Conv2D(4, 3, activation="softplus"),
        layers.Flatten(),
        layers.Dense(3, activation=activation),
    ]


def sequential(*before: layers.Layer, activation: str | None = None) -> keras.Model:
    made = [keras.Input(SHAPE), *before, *parts(activation)]
    return with_weights(keras.Sequential(made, name="sequential"))


def plain() -> keras.Model:
    """The network that all others are."""
    return sequential()


def functional(after: Callable[[Any], Any] | None = None) -> keras.Model:
    images = keras.Input(SHAPE)
    outputs = images
    for part in parts():
        outputs = part(outputs)
    return with_weights(keras.Model(images, after(outputs) if after else outputs))


def nested() -> keras.Model:
    images = keras.Input(SHAPE)
    return keras.Model(images, sequential(activation="softmax")(images))


@keras.saving.register_keras_serializable(package="tests")
class Subclassed(keras.Model):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.parts = parts()
        self.dropout = layers.Dropout(0.5)

    def call(self, images: Any, training: bool | None = None) -> Any:
        convolution, flatten, dense = self.parts
        return dense(self.dropout(flatten(convolution(images)), training=training))


def subclassed() -> keras.Model:
    network = Subclassed()
    network(IMAGES)
    return with_weights(network)


def regularised() -> keras.Model:
    """Layers that are only for training. Keras has augmentation on when nothing is said."""
    return sequential(
        layers.RandomFlip("vertical"),
        layers.RandomContrast(0.9),
        layers.RandomRotation(0.2),
        layers.GaussianNoise(0.5),
        layers.Dropout(0.5),
    )


def half() -> keras.Model:
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float16")
    try:
        return sequential()
    finally:
        keras.config.set_dtype_policy(before)


def function() -> Callable[[tf.Tensor], tf.Tensor]:
    network = plain()
    return lambda images: network(images, training=False)


class Method:
    """An object whose method is the network."""

    def __init__(self) -> None:
        self.network = plain()

    def logits(self, images: tf.Tensor) -> tf.Tensor:
        return self.network(images, training=False)


def opaque() -> Opaque:
    network = plain()
    return Opaque(
        lambda images: np.asarray(network(images, training=False)),
        input_shape=(None, *SHAPE),
        num_classes=3,
        name="far away",
    )


def opaque_probabilities() -> Opaque:
    """Nothing is known of it but that it answers."""
    network = sequential(activation="softmax")
    return Opaque(lambda images: np.asarray(network(images, training=False)))


def saved_model(folder: Path) -> Path:
    """As tf.saved_model.save writes our exports' signature; → the folder."""
    network = plain()
    module = tf.Module()
    module.weights = [variable.value for variable in network.variables]
    spec = tf.TensorSpec((None, *SHAPE), tf.float32, "images")
    served = tf.function(lambda images: {"logits": network(images)}, input_signature=[spec])
    tf.saved_model.save(module, str(folder), signatures={"serving_default": served})
    return folder


MAKERS: dict[str, Callable[[], Any]] = {
    "plain": plain,
    "functional": functional,
    "softmax activation": lambda: sequential(activation="softmax"),
    "softmax layer": lambda: functional(layers.Softmax()),
    "softmax operation": lambda: functional(keras.ops.softmax),
    "softmax nested": nested,
    "subclassed": subclassed,
    "layers for training": regularised,
    "float16": half,
    "function": function,
    "method": lambda: Method().logits,
    "opaque": opaque,
    "opaque probabilities": opaque_probabilities,
}


class Brought(NamedTuple):
    """What somebody brings.

    Args:
        make: makes the model anew.
        tolerance: how far its logits may be from the plain network's.
    """

    make: Callable[[], Any]
    tolerance: float


@pytest.fixture(params=MAKERS)
def brought(request) -> Brought:
    """Each form, one a test."""
    # float16 has 11 bits; other forms are graphs of the same layers that round differently.
    return Brought(MAKERS[request.param], 2e-2 if request.param == "float16" else 1e-5)


@pytest.fixture
def images() -> np.ndarray:
    """Images that they all take."""
    return IMAGES


@pytest.fixture
def expected() -> np.ndarray:
    """The plain network's logits, each image's with a mean of 0: a softmax forgets the mean."""
    return centred(plain().predict(IMAGES, verbose=0))


def centred(logits: Any) -> np.ndarray:
    logits = np.asarray(logits, np.float64)
    return logits - logits.mean(axis=-1, keepdims=True)
