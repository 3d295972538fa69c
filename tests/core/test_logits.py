"""Any classifier as a network of logits, on its own weights."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from tfrobust.core.door import as_classifier
from tfrobust.errors import InputError
from tfrobust.models import HalfHuberReLU, logits_network, resnet_cifar

SHAPE = (8, 8, 1)
IMAGES = np.random.default_rng(1).random((4, *SHAPE), np.float32)


def sequential(*last: Any) -> keras.Model:
    return keras.Sequential([keras.Input(SHAPE), layers.Conv2D(4, 3, activation="relu"), *last])


def dense(activation: str | None = None) -> keras.Model:
    return sequential(layers.Flatten(), layers.Dense(3, activation=activation))


def on(inner: Any, after: Any = None) -> keras.Model:
    """A functional model that calls another, and something after it."""
    images = keras.Input(SHAPE)
    outputs = inner(images)
    return keras.Model(images, outputs if after is None else after(outputs))


class Subclassed(keras.Model):
    """Written as many are: its softmax is out of sight."""

    def __init__(self, softmax: bool) -> None:
        super().__init__()
        self.parts = [layers.Conv2D(4, 3), layers.BatchNormalization(), layers.Flatten()]
        self.head = layers.Dense(3, activation="softmax" if softmax else None)

    def call(self, images: Any) -> Any:
        for part in self.parts:
            images = part(images)
        return self.head(images)


def softmax(logits: Any) -> np.ndarray:
    powers = np.exp(np.asarray(logits, np.float64))
    return powers / powers.sum(axis=-1, keepdims=True)


WITH_SOFTMAX = {
    "dense": lambda: dense("softmax"),
    "layer": lambda: sequential(layers.Flatten(), layers.Dense(3), layers.Softmax()),
    "activation": lambda: on(dense(), layers.Activation("softmax")),
    "operation": lambda: on(dense(), keras.ops.softmax),
    "convolution": lambda: sequential(
        layers.GlobalAveragePooling2D(keepdims=True),
        layers.Conv2D(3, 1, activation="softmax"),
        layers.Flatten(),
    ),
    "nested": lambda: on(on(dense("softmax"))),
    "listed": lambda: keras.Model([image := keras.Input(SHAPE)], [dense("softmax")(image)]),
}


@pytest.mark.filterwarnings("ignore:The structure of `inputs`")  # "listed", called unlisted
@pytest.mark.parametrize("kind", WITH_SOFTMAX)
def test_a_last_softmax_is_left_out(kind: str, tmp_path: Path) -> None:
    classifier = WITH_SOFTMAX[kind]()
    before = np.asarray(classifier(IMAGES)).reshape(4, 3)
    network = logits_network(classifier)
    # Float32's softmax and NumPy's of its logits.
    np.testing.assert_allclose(softmax(network(IMAGES)), before, atol=1e-6)
    assert np.abs(np.asarray(network(IMAGES)).sum(axis=-1) - 1).max() > 1e-3
    assert network.input_shape == (None, *SHAPE) and network.output_shape == (None, 3)
    # The same variables, and the classifier is what it was.
    assert [id(weight) for weight in network.weights] == [id(w) for w in classifier.weights]
    np.testing.assert_array_equal(np.asarray(classifier(IMAGES)).reshape(4, 3), before)
    network.save(tmp_path / "network.keras")
    loaded = keras.models.load_model(tmp_path / "network.keras")
    np.testing.assert_array_equal(loaded(IMAGES), network(IMAGES))
    assert logits_network(network) is network


def test_names_that_a_file_brought_do_not_clash(tmp_path: Path) -> None:
    names = ("to_input_range", "logits", "logits_")
    made = [layers.Rescaling(1 / 255, name=names[0]), layers.Flatten(name=names[1])]
    network = keras.Sequential(
        [keras.Input(SHAPE), *made, layers.Dense(1, "sigmoid", name=names[2])]
    )
    network.save(tmp_path / "one.keras")
    classifier = as_classifier(keras.saving.load_model(tmp_path / "one.keras"))
    shares = network.predict(255 * IMAGES, verbose=0)
    np.testing.assert_allclose(softmax(classifier(IMAGES))[:, 1:], shares, atol=1e-6)
    classifier.network.save(tmp_path / "two.keras")
    again = keras.saving.load_model(tmp_path / "two.keras")
    np.testing.assert_array_equal(again(IMAGES), classifier(IMAGES))


def test_a_float32_softmax_on_half_precision_leaves_float32_logits() -> None:
    features = sequential(layers.Flatten(), layers.Dense(3, dtype="mixed_bfloat16"))
    network = logits_network(on(features, layers.Activation("softmax", dtype="float32")))
    assert network.outputs[0].dtype == "float32"


@pytest.mark.parametrize(
    "network",
    [dense, lambda: resnet_cifar(depth=8, num_classes=3, input_shape=SHAPE), lambda: on(dense())],
)
def test_logits_stay_as_they_are(network: Any) -> None:
    network = network()
    assert logits_network(network) is network


def test_a_subclassed_model_becomes_a_functional_one(tmp_path: Path) -> None:
    classifier = Subclassed(softmax=False)
    with pytest.raises(InputError, match="call it once"):
        logits_network(classifier)
    classifier(IMAGES)
    network = logits_network(classifier)
    np.testing.assert_array_equal(network(IMAGES), classifier(IMAGES))
    assert network.input_shape == (None, *SHAPE) and network.output_shape == (None, 3)
    assert {id(weight) for weight in network.weights} == {id(w) for w in classifier.weights}
    network(IMAGES, training=True)  # reaches the batch normalisation inside
    assert np.any(np.asarray(classifier.parts[1].moving_mean) != 0)


def called(model: keras.Model) -> keras.Model:
    model(IMAGES)
    return model


def with_two_outputs() -> keras.Model:
    images = keras.Input(SHAPE)
    return keras.Model(images, [dense()(images), dense()(images)])


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (lambda: "resnet50", "Keras model"),
        (lambda: keras.Sequential([layers.Flatten(), layers.Dense(3)]), "call it once"),
        (with_two_outputs, "2 outputs"),
        (lambda: sequential(), r"\(B, K\)"),
        (lambda: dense("sigmoid"), "ends with 3 sigmoids"),
        (lambda: dense("relu"), "ends with relu"),
        (lambda: on(dense(), layers.Activation("tanh")), "ends with tanh"),
        (lambda: on(dense(), layers.ReLU()), "ends with ReLU"),
        (lambda: on(dense(), HalfHuberReLU()), "ends with HalfHuberReLU"),
        (lambda: on(dense(), keras.ops.sigmoid), "ends with 3 sigmoids"),
        (lambda: on(dense(), layers.Softmax(axis=0)), "over axis 0"),
        (lambda: sequential(layers.Softmax(), layers.Flatten()), r"\(None, 6, 6, 4\)"),
        (lambda: on(dense("softmax"), lambda x: (x + x) / 2), "probabilities"),
    ],
)
def test_what_is_neither_logits_nor_a_softmax_is_refused(network: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        logits_network(network())
