"""The vote under noise, and the random draws behind it."""

import numpy as np
import pytest
from scipy import stats

from tfrobust.certification import certify
from tfrobust.certification.sampling import MOST_VALUES, draw_seed, noise, portion
from tfrobust.errors import InputError

SHAPE = (4, 4, 1)


def test_votes_sum_to_the_draws_asked_for(linear) -> None:
    """250 draws are two portions and a half; each class of a blank network is equally likely."""
    weights = np.random.default_rng(5).normal(0, 1, (16, 2)).astype(np.float32)
    network = linear(weights, -weights.T @ np.full(16, 0.5, np.float32))
    image = np.full((1, *SHAPE), 0.5, np.float32)
    votes = [
        certify(network, image, [0], n0=1, n=250, seed=s, progress=False).votes for s in range(20)
    ]
    mean = np.mean([min(v[0], 250 - v[0]) for v in votes])
    assert 110 < mean < 125


def test_draws_are_normal_and_differ_by_image_use_and_portion() -> None:
    seen = [
        noise((2000,), draw_seed(*key)).numpy()
        for key in [(0, 0, 0, 0), (1, 0, 0, 0), (0, 1, 0, 0), (0, 0, 1, 0), (0, 0, 0, 1)]
    ]
    for one in seen:
        assert stats.kstest(one, "norm").pvalue > 1e-3
    correlation = np.corrcoef(seen) - np.eye(5)
    assert np.abs(correlation).max() < 0.1
    np.testing.assert_array_equal(noise((2000,), draw_seed(0, 0, 0, 0)), seen[0])


def test_large_images_come_in_smaller_portions() -> None:
    assert portion((28, 28, 1)) == 100
    assert portion((224, 224, 3)) * 224 * 224 * 3 <= MOST_VALUES
    assert portion((2000, 2000, 3)) == 1


def test_logits_that_are_not_finite(linear) -> None:
    network = linear(np.full((16, 2), np.nan, np.float32), np.zeros(2, np.float32))
    with pytest.raises(InputError, match="finite logits"):
        certify(network, np.zeros((1, *SHAPE), np.float32), [0], n=100, progress=False)
