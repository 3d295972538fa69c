"""Networks that are not ours: a training step with the penalty, and the plain network exported."""

from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import tfrobust
from tfrobust.models import half_huber
from tfrobust.training import InputGradientPenalty, RobustClassifier

CLASSES = 5


def applications_network() -> keras.Model:
    return keras.applications.MobileNetV2(
        input_shape=(32, 32, 3), alpha=0.35, weights=None, classes=CLASSES
    )


def convnet() -> keras.Model:
    return keras.Sequential(
        [
            keras.Input((12, 12, 1)),
            layers.Conv2D(4, 3, activation="relu"),
            layers.BatchNormalization(),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(CLASSES, activation="softmax"),
        ]
    )


def half_huber_convnet() -> keras.Model:
    return half_huber(convnet())


def vision_transformer() -> keras.Model:
    """Patches of 4×4, two blocks of attention, the mean of the tokens."""
    images = keras.Input((16, 16, 3))
    tokens = layers.Reshape((16, 16))(layers.Conv2D(16, 4, strides=4)(images))
    for _ in range(2):
        normal = layers.LayerNormalization()(tokens)
        tokens += layers.MultiHeadAttention(num_heads=2, key_dim=8)(normal, normal)
        hidden = layers.Dense(32, activation="gelu")(layers.LayerNormalization()(tokens))
        tokens += layers.Dense(16)(layers.Dropout(0.1)(hidden))
    features = layers.GlobalAveragePooling1D()(layers.LayerNormalization()(tokens))
    return keras.Model(images, layers.Dense(CLASSES)(features))


class SubclassedConvnet(keras.Model):
    def __init__(self) -> None:
        super().__init__()
        self.body = layers.Conv2D(4, 3, strides=2, activation="swish")
        self.flat = layers.Flatten()
        self.head = layers.Dense(CLASSES)

    def call(self, images: tf.Tensor) -> tf.Tensor:
        return self.head(self.flat(self.body(images)))


def subclassed() -> keras.Model:
    network = SubclassedConvnet()
    network(np.zeros((1, 12, 12, 1), np.float32))
    return network


@pytest.mark.parametrize(
    "build",
    [applications_network, convnet, half_huber_convnet, vision_transformer, subclassed],
)
def test_one_step_with_the_penalty(build) -> None:
    keras.utils.set_random_seed(0)
    original = build()
    classifier = RobustClassifier(original, penalty=InputGradientPenalty())
    classifier.compile(optimizer=keras.optimizers.SGD(0.01))
    rng = np.random.default_rng(0)
    images = rng.random((4, *classifier.network.input_shape[1:]), np.float32)
    before = classifier.network.get_weights()
    values = classifier.optimize(tf.constant(images), tf.constant([0, 1, 2, 3]))
    assert all(np.isfinite(float(value)) for value in values.values())
    assert float(values["penalty"]) > 0
    after = classifier.network.get_weights()
    assert all(np.isfinite(weight).all() for weight in after)
    moved = [np.any(new != old) for new, old in zip(after, before, strict=True)]
    assert moved[0] and moved[-1] and np.mean(moved) > 0.5
    # The user's model shares the weights, so it has learnt the same.
    logits, own = classifier.network(images), np.asarray(original(images))
    if np.allclose(own.sum(axis=-1), 1, atol=1e-3):
        logits = tf.nn.softmax(logits)
    np.testing.assert_allclose(own, logits, atol=1e-5)  # float32, two graphs of the same layers


@pytest.mark.slow
def test_the_plain_network_is_exported(tmp_path: Path) -> None:
    classifier = RobustClassifier(half_huber_convnet(), penalty=InputGradientPenalty())
    names = [str(k) for k in range(CLASSES)]
    version = tfrobust.export(classifier.network, tmp_path, class_names=names, explainer=False)
    loaded = keras.models.load_model(version / "network.keras")
    images = np.random.default_rng(0).random((2, 12, 12, 1), np.float32)
    np.testing.assert_array_equal(loaded(images), classifier.network(images))
    assert not isinstance(loaded, RobustClassifier)
