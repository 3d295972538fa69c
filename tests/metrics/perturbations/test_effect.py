"""What a perturbation does, to the network explained and to another."""

import numpy as np
import pytest
import scipy.special
import tensorflow as tf

from tfrobust.errors import InputError
from tfrobust.explanations import Adversarial, VanillaGradients
from tfrobust.metrics import confidence_gain, transfer

IMAGES = 0.3 + 0.4 * np.random.default_rng(1).random((3, 8, 8, 1), np.float32)
WEIGHTS = np.random.default_rng(1).normal(size=(64, 3)).astype(np.float32)


@pytest.fixture(scope="module")
def surer(linear):
    return Adversarial(rho=0.02)(linear, IMAGES, 1)


def test_gain(linear, surer) -> None:
    gain = confidence_gain(surer)
    np.testing.assert_allclose(
        gain * surer.rmse, surer.confidence_after - surer.confidence_before, atol=1e-6
    )
    assert (gain > 0).all()
    less = Adversarial(rho=0.02, direction=-1)(linear, IMAGES, 1)
    assert (confidence_gain(less) < 0).all()


def test_transfer_by_hand(linear, surer) -> None:
    """Half the weights: the other network agrees, by what its own softmax says."""

    def half(images: tf.Tensor) -> tf.Tensor:
        return tf.reshape(images, (-1, 64)) @ (WEIGHTS / 2)

    def sure(images: np.ndarray) -> np.ndarray:
        rows = np.clip(images, 0, 1).reshape(3, 64)
        return scipy.special.softmax(rows @ (WEIGHTS / 2), axis=-1)[:, 1]

    by_hand = sure(surer.explanation) - sure(surer.image)
    np.testing.assert_allclose(transfer(half, surer), by_hand, atol=1e-6)
    assert (by_hand > 0).all()


def test_a_map_changes_nothing(linear) -> None:
    only_a_map = VanillaGradients()(linear, IMAGES)
    with pytest.raises(InputError, match="Vanilla Gradients only says where the evidence is"):
        confidence_gain(only_a_map)
    with pytest.raises(InputError, match="only says where"):
        transfer(linear, only_a_map)
