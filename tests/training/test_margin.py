"""The loss that asks for margins, against NumPy by hand."""

import keras
import numpy as np
import pytest

from tfrobust.errors import InputError
from tfrobust.training import MarginLoss

LOGITS = np.array([[1.0, 0.2, -0.5], [0.0, 3.0, 0.1]], np.float32)
LABELS = np.array([0, 1])


def by_hand(epsilon: float, temperature: float) -> np.ndarray:
    lowered = LOGITS.astype(np.float64)
    lowered[[0, 1], LABELS] -= np.sqrt(2) * epsilon
    lowered /= temperature
    whole = np.log(np.exp(lowered).sum(axis=1))
    return temperature * (whole - lowered[[0, 1], LABELS])


@pytest.mark.parametrize("labels", [LABELS, LABELS[:, None], np.eye(3)[LABELS]])
def test_it_is_the_cross_entropy_of_lowered_logits(labels: np.ndarray) -> None:
    loss = MarginLoss(epsilon=0.7, temperature=0.4)
    np.testing.assert_allclose(loss(labels, LOGITS), by_hand(0.7, 0.4).mean(), rtol=1e-6)
    each = loss.call(keras.ops.convert_to_tensor(labels), keras.ops.convert_to_tensor(LOGITS))
    np.testing.assert_allclose(each, by_hand(0.7, 0.4), rtol=1e-5)


def test_without_an_offset_it_is_the_plain_cross_entropy() -> None:
    plain = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    loss = MarginLoss(epsilon=0, temperature=1)
    np.testing.assert_allclose(loss(LABELS, LOGITS), plain(LABELS, LOGITS), rtol=1e-6)


def test_a_margin_that_is_large_enough_costs_nothing() -> None:
    # The second image's margin is 2.9; a radius of 1 asks for 1.41.
    first, second = by_hand(1.0, 0.05)
    assert second < 1e-12 < first


@pytest.mark.parametrize(("epsilon", "temperature"), [(-1.0, 1.0), (1.0, 0.0), (np.nan, 1.0)])
def test_what_is_no_radius_or_temperature_is_refused(epsilon: float, temperature: float) -> None:
    with pytest.raises(InputError, match="epsilon from 0 and a temperature above 0"):
        MarginLoss(epsilon=epsilon, temperature=temperature)
