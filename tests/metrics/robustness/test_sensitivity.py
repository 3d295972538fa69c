"""Changes of maps among neighbours, on a network whose gradient is the image itself."""

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from tfrobust.errors import InputError
from tfrobust.explanations import VanillaGradients
from tfrobust.metrics import (
    AverageSensitivity,
    LocalLipschitz,
    MaxSensitivity,
    RelativeInputStability,
    RelativeOutputStability,
)

# Far enough from 0 and 1 that no noise is cut.
IMAGES = 0.3 + 0.4 * np.random.default_rng(1).random((3, 4, 4, 1), np.float32)
SCALES = np.array([1.0, 3.0])


def squares(images: tf.Tensor) -> tf.Tensor:
    """Logits ½·s·Σ x²: the map of a class is s·x."""
    return tf.reduce_sum(images**2, axis=(1, 2, 3))[:, None] / 2 * SCALES.astype(np.float32)


def drawn(draws: int, rmse: float) -> np.ndarray:
    rng = np.random.default_rng(6)
    return np.stack([IMAGES + rng.normal(0, rmse, IMAGES.shape) for _ in range(draws)])


def norm(values: np.ndarray) -> np.ndarray:
    return np.sqrt((values**2).sum(axis=(-3, -2, -1)))


NOISE: dict[str, Any] = {"rmse": 0.02, "draws": 4, "seed": 6}


def test_by_hand() -> None:
    change = norm(drawn(4, 0.02) - IMAGES) / norm(IMAGES)
    asked = (squares, VanillaGradients(), IMAGES, 1)
    # Noise of .02 on float32 values of size 1: their rounding is about 3e-6 of it.
    np.testing.assert_allclose(MaxSensitivity(**NOISE)(*asked), change.max(axis=0), rtol=1e-4)
    np.testing.assert_allclose(AverageSensitivity(**NOISE)(*asked), change.mean(axis=0), rtol=1e-4)
    np.testing.assert_allclose(LocalLipschitz(**NOISE)(*asked), 3, rtol=1e-4)


def test_relative_stability_by_hand() -> None:
    """s·x changes by as many percent as x does."""
    asked = (squares, VanillaGradients(), IMAGES, 1)
    np.testing.assert_allclose(RelativeInputStability(**NOISE)(*asked), 1, rtol=1e-4)
    near = drawn(4, 0.02)
    percent = norm((near - IMAGES) / IMAGES)
    rise = ((near**2).sum(axis=(2, 3, 4)) - (IMAGES**2).sum(axis=(1, 2, 3))) / 2
    logits = np.abs(rise) * np.sqrt((SCALES**2).sum())
    np.testing.assert_allclose(
        RelativeOutputStability(**NOISE)(*asked), (percent / logits).max(axis=0), rtol=1e-2
    )  # differences of float32 logits of size 6: where they are .01, rounding is 1e-4 of it


def test_neighbours_of_another_class_do_not_count() -> None:
    def bright(images: tf.Tensor) -> tf.Tensor:
        mean = tf.reduce_mean(images**2, axis=(1, 2, 3))
        return tf.stack([9 * mean, tf.fill(tf.shape(mean), 9 * 0.25)], axis=-1)

    # Just above the decision: dark noise turns it, bright noise does not.
    middle = np.full((1, 4, 4, 1), 0.5 + 1e-6, np.float32)
    noise = np.random.default_rng(6).normal(0, 0.02, (8, *middle.shape))
    stays = ((middle + noise) ** 2).mean(axis=(2, 3, 4))[:, 0] > 0.25
    assert stays.any() and not stays.all()
    for draws in range(1, 9):
        measure = RelativeInputStability(rmse=0.02, draws=draws, seed=6)
        found = measure(bright, VanillaGradients(), middle, 0)
        # The map is x but for a factor, and changes by as many percent as x does.
        by_hand = 1.0 if stays[:draws].any() else np.nan
        np.testing.assert_allclose(found, by_hand, rtol=1e-3)


def test_a_map_that_does_not_change() -> None:
    def linear(images: tf.Tensor) -> tf.Tensor:
        return tf.reshape(images, (-1, 16)) @ np.ones((16, 2), np.float32)

    measures = (MaxSensitivity(), AverageSensitivity(), LocalLipschitz())
    for measure in (*measures, RelativeInputStability(), RelativeOutputStability()):
        assert measure(linear, VanillaGradients(), IMAGES[:0]).shape == (0,)
    for measure in measures:
        np.testing.assert_array_equal(measure(linear, VanillaGradients(), IMAGES, 1), 0)
    with pytest.raises(InputError, match=r"at least 1 draw, got 0\.01, 0"):
        LocalLipschitz(draws=0)
