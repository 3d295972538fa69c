"""Parts of an image, each alone, on a linear network."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from tfrobust.errors import InputError
from tfrobust.metrics import FaithfulnessEstimate, MonotonicityCorrelation


@pytest.mark.parametrize("parts", [16, 5, 100])
def test_exact_attributions_correlate_fully(linear, parts: int) -> None:
    maps = linear.attributions(0.5)
    measure = FaithfulnessEstimate(parts=parts, score="logit")
    found = measure(linear, linear.images, linear.classes, maps)
    np.testing.assert_allclose(found, 1, atol=1e-6)  # rounding of float32 logits


def test_the_uncertainty_of_each_pixel_by_hand(linear) -> None:
    """Drawn anew, a pixel changes the logit by Σ w·(u − x) over its channels."""
    maps = np.random.default_rng(1).normal(size=(3, 4, 4))
    measure = MonotonicityCorrelation(parts=16, draws=4, score="logit", seed=3)
    found = measure(linear, linear.images, linear.classes, maps)
    rng = np.random.default_rng(3)
    order = np.argsort(-np.abs(maps).reshape(3, 16), axis=-1, kind="stable")
    squares = np.zeros((3, 16))
    for part in range(16):
        for _ in range(4):
            drawn = rng.random(linear.images.shape, np.float32)
            change = ((drawn - linear.images) * linear.gradient).sum(axis=-1).reshape(3, 16)
            squares[:, part] += change[np.arange(3), order[:, part]] ** 2 / 4
    size = np.take_along_axis(np.abs(maps).reshape(3, 16), order, axis=-1)
    by_hand = [spearmanr(*pair).statistic for pair in zip(size, squares, strict=True)]
    np.testing.assert_allclose(found, by_hand, atol=1e-6)


def test_the_right_map_is_far_above_chance(linear) -> None:
    variance = 1 / 12 + (0.5 - linear.images) ** 2
    right = np.sqrt((variance * linear.gradient**2).sum(axis=-1))
    measure = MonotonicityCorrelation(parts=16, draws=40, score="logit")
    found = measure(linear, linear.images, linear.classes, right)
    assert (found > 0.7).all()  # 16 ranks with a noise of 1/√80; chance is below .43 at 95 %


def test_no_images_and_no_parts(linear) -> None:
    none = np.zeros((0, 4, 4))
    assert FaithfulnessEstimate()(linear, linear.images[:0], None, none).shape == (0,)
    assert MonotonicityCorrelation()(linear, linear.images[:0], None, none).shape == (0,)
    with pytest.raises(InputError, match="expected parts of at least 1, got 0"):
        FaithfulnessEstimate(parts=0)
    with pytest.raises(InputError, match="expected draws of at least 1, got 0"):
        MonotonicityCorrelation(draws=0)
