"""Distances from the nearest image of a data set."""

import numpy as np
import pytest

from tfrobust.errors import InputError
from tfrobust.metrics import distance_to_data
from tfrobust.metrics.perturbations import nearness


def test_against_brute_force(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    images, data = rng.random((4, 3, 2, 1), np.float32), rng.random((10, 3, 2, 1), np.float32)
    by_hand = np.sqrt(((images[:, None] - data) ** 2).mean(axis=(2, 3, 4))).min(axis=1)
    # Squares of float32 numbers in float64: what cancels is about 1e-15 of them.
    np.testing.assert_allclose(distance_to_data(images, data), by_hand, atol=1e-7)
    monkeypatch.setattr(nearness, "ROWS", 3)
    np.testing.assert_allclose(distance_to_data(images, data), by_hand, atol=1e-7)
    np.testing.assert_allclose(distance_to_data(data[:2], data), 0, atol=1e-7)


def test_bytes_are_pixels_from_0_to_1_and_there_may_be_no_images() -> None:
    data = np.random.default_rng(1).integers(0, 256, (5, 3, 2, 1), np.uint8)
    np.testing.assert_allclose(distance_to_data(data[:2] / np.float32(255), data), 0, atol=1e-7)
    np.testing.assert_allclose(distance_to_data(data[:2], data / np.float32(255)), 0, atol=1e-7)
    assert distance_to_data(data[:0], data).shape == (0,)
    with pytest.raises(InputError, match="divide 8-bit images by 255"):
        distance_to_data(data[:2], data.astype(np.float32))


def test_refuses() -> None:
    images = np.zeros((1, 3, 2, 1))
    for references in (np.zeros((0, 3, 2, 1)), np.zeros((5, 3, 3, 1))):
        with pytest.raises(InputError, match="at least one reference of the same size"):
            distance_to_data(images, references)
