"""Models that only answer: what they are taken for, and which attacks take them."""

import numpy as np
import pytest
import tensorflow as tf

from tfrobust.attacks import SPSA, Blend, LinearizedMargin, Opaque
from tfrobust.errors import InputError

SHAPE = (4, 5, 1)
rng = np.random.default_rng(0)
PLANE = rng.normal(size=(20, 3)).astype(np.float32)
IMAGES = rng.random((6, *SHAPE), np.float32)


def logits(images: np.ndarray) -> np.ndarray:
    return (images - 0.5).reshape(-1, 20) @ PLANE


def opaque(function=logits, classes: int = 3) -> Opaque:
    return Opaque(function, input_shape=(None, *SHAPE), num_classes=classes, name="far away")


def differentiable(images: tf.Tensor) -> tf.Tensor:
    return tf.reshape(images - 0.5, (-1, 20)) @ PLANE


def test_probabilities_are_taken_for_what_they_are() -> None:
    def probabilities(images: np.ndarray) -> np.ndarray:
        powers = np.exp(logits(images))
        return powers / powers.sum(axis=1, keepdims=True)

    shares = tf.nn.softmax(opaque(probabilities)(IMAGES)).numpy()
    np.testing.assert_allclose(shares, probabilities(IMAGES), atol=1e-6)
    np.testing.assert_array_equal(opaque()(IMAGES), logits(IMAGES))


def test_attacks_without_gradients_find_what_they_find_of_the_same_network() -> None:
    labels = logits(IMAGES).argmax(axis=1)
    for attack in (SPSA(steps=8, rounds=7, batch_size=3), Blend(IMAGES, batch_size=4)):
        one = attack(opaque(), IMAGES, labels)
        other = attack(differentiable, IMAGES, labels)
        # NumPy's sums and XLA's round differently; walks that are short stay together.
        np.testing.assert_allclose(one.rmse, other.rmse, rtol=1e-2)
        assert one.found.all()


def test_attacks_that_follow_gradients_are_refused() -> None:
    with pytest.raises(
        InputError, match="far away only gives answers; attack it with FiniteDifferences"
    ):
        LinearizedMargin()(opaque(), IMAGES, np.zeros(6, int))


def test_answers_of_another_shape_are_named() -> None:
    with pytest.raises(InputError, match=r"expected far away to give logits of shape"):
        opaque(classes=4)(IMAGES)
