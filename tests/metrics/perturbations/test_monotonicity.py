"""Whether the confidence follows adversarial explanations."""

import numpy as np
import pytest

from tfrobust.errors import InputError
from tfrobust.metrics import Monotonicity, monotonicity

IMAGES = np.random.default_rng(1).random((4, 8, 8, 1), np.float32)


def test_the_confidence_of_a_linear_network_follows(linear) -> None:
    found = monotonicity(linear, IMAGES, rhos=(0.02, 0.05, 0.1))
    assert found.surer.shape == found.less.shape == (4, 4)
    np.testing.assert_array_equal(found.surer[0], found.less[0])
    assert found.rises.all() and found.falls.all() and found.monotonic.all()


def test_what_rises_falls_and_is_monotonic() -> None:
    rhos = np.array([0.1, 0.2])
    surer = np.array([[0.5, 0.5, 0.5], [0.6, 0.4, 0.7], [0.7, 0.6, 0.6]], np.float32)
    less = np.array([[0.5, 0.5, 0.5], [0.4, 0.4, 0.4], [0.3, 0.3, 0.6]], np.float32)
    found = Monotonicity(rhos, surer, less)
    assert found.rises.tolist() == [True, False, True]
    assert found.falls.tolist() == [True, True, False]
    assert found.monotonic.tolist() == [True, False, False]


def test_rising_sizes_are_wanted(linear) -> None:
    with pytest.raises(InputError, match="sizes that rise, got"):
        monotonicity(linear, IMAGES, rhos=(0.1, 0.05))
