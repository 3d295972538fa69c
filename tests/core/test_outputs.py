"""What outputs are, and how they become logits."""

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from networks import Opaque, images_for, inferring, parts, plain, sequential, subclassed

from tfrobust.core.door import as_classifier
from tfrobust.core.outputs import Form, as_logits, from_logits
from tfrobust.errors import InputError

VALUES = np.random.default_rng(0).normal(0, 3, (6, 3)).astype(np.float32)


def softmax(values: np.ndarray) -> np.ndarray:
    powers = np.exp(values.astype(np.float64))
    return powers / powers.sum(axis=1, keepdims=True)


def sigmoid(values: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-values.astype(np.float64)))


def test_logits_have_the_probabilities_that_they_were_made_of() -> None:
    found = as_logits(softmax(VALUES).astype(np.float32), "softmax", None)
    np.testing.assert_allclose(softmax(np.asarray(found)), softmax(VALUES), atol=1e-6)
    for label in (None, 1):
        taken = VALUES[:, :1] if label is None else VALUES
        column = sigmoid(VALUES[:, label or 0])
        expected = np.stack([1 - column, column], axis=1)
        for values, output in ((taken, "logits"), (sigmoid(taken).astype(np.float32), "sigmoid")):
            found = np.asarray(as_logits(values, output, label))
            np.testing.assert_allclose(softmax(found), expected, atol=1e-6)
            assert not found[:, 0].any()


def test_certain_probabilities_stay_finite() -> None:
    certain = np.array([[0.0, 1.0]], np.float32)
    assert np.isfinite(as_logits(certain, "softmax", None)).all()
    assert np.isfinite(as_logits(certain.T, "sigmoid", None)).all()


def test_outputs_in_their_own_form() -> None:
    np.testing.assert_array_equal(from_logits(VALUES, Form()), VALUES)
    found = from_logits(VALUES, Form("softmax"))
    np.testing.assert_allclose(found, softmax(VALUES), atol=1e-6)
    pairs = np.asarray(as_logits(VALUES[:, :1], "logits", None))
    found = from_logits(pairs, Form("sigmoid", single=True))
    np.testing.assert_allclose(found, sigmoid(VALUES[:, :1]), atol=1e-6)


def toy() -> keras.Model:
    """Two logits that sum to 1, which nothing says to be probabilities or not."""
    images = keras.Input((8, 6, 1))
    bright = keras.ops.mean(images, axis=(1, 2, 3))
    return keras.Model(images, keras.ops.stack([bright, 1 - bright], axis=1))


@pytest.mark.parametrize("make", [toy, lambda: inferring(toy()), lambda: Opaque(toy())])
def test_two_readings_are_told_apart_by_what_is_said(make: Any) -> None:
    bright = images_for(1).mean(axis=(1, 2, 3))
    plainly = np.stack([bright, 1 - bright], axis=1)
    logits = as_classifier(make(), output="logits")
    np.testing.assert_allclose(logits(images_for(1)), plainly, atol=1e-6)
    shares = as_classifier(make(), output="softmax")
    np.testing.assert_allclose(softmax(np.asarray(shares(images_for(1)))), plainly, atol=1e-6)


def test_a_relu_may_be_meant() -> None:
    network = sequential(activation="relu")
    found = as_classifier(network, output="logits")
    np.testing.assert_array_equal(found(images_for(1)), network(images_for(1)))


@pytest.mark.parametrize(
    ("model", "said", "message"),
    [
        (plain, {"output": "probabilities"}, "output as one of logits, softmax, sigmoid, got"),
        (plain, {"label": -1}, "label as the number of an output, from 0, got -1"),
        (plain, {"label": True}, "label as the number of an output"),
        (plain, {"label": 3}, "no label=3, .* has 3 outputs"),
        (plain, {"output": "softmax"}, "output='logits', as sequential ends with linear"),
        (lambda: sequential(activation="softmax"), {"label": 0}, "has 3 outputs of one softmax"),
        (lambda: sequential(activation="softmax"), {"output": "logits"}, "ends with softmax"),
        (lambda: sequential(activation="sigmoid"), {"output": "sigmoid"}, "3 sigmoids"),
        (lambda: subclassed("sigmoid"), {}, "ends with 3 sigmoids"),
        (lambda: inferring(plain()), {"output": "softmax"}, "ends with linear"),
        (
            lambda: Opaque(plain()),
            {"output": "softmax"},
            "probabilities of a softmax .*; leave output",
        ),
    ],
)
def test_what_contradicts_the_network_is_refused(
    model: Any, said: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        as_classifier(model(), **said).check(images_for(1))


def test_a_label_is_asked_once() -> None:
    one = as_classifier(sequential(activation="sigmoid"), label=0)
    assert one.name == "sequential, label 0" and one.task == "binary"
    with pytest.raises(InputError, match=r"no label=5, or one of several outputs .* has 2 out"):
        as_classifier(as_classifier(plain(), label=2), label=5)


def test_layers_are_found_behind_reshapes() -> None:
    made = [layers.Reshape((1, 3)), layers.Activation("softmax"), layers.Flatten()]
    network = keras.Sequential([keras.Input((8, 6, 1)), *parts(), *made])
    found = as_classifier(network)(images_for(1))
    shares = network.predict(images_for(1), verbose=0)
    np.testing.assert_allclose(tf.nn.softmax(found), shares, atol=1e-6)
    assert np.asarray(found).max() > 0  # they are the logits, and no logarithms
