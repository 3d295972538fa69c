"""Thresholds that are chosen on images, against a search through all of them."""

import tracemalloc

import numpy as np
import pytest

from tfrobust.errors import InputError
from tfrobust.robustness import youden_thresholds

RNG = np.random.default_rng(7)
SHARES = RNG.random((30, 4))
LABELS = (SHARES + RNG.normal(0, 0.2, SHARES.shape) > [0.3, 0.5, 0.6, 2]).astype(int)


def test_no_threshold_is_better() -> None:
    """Sensitivity + specificity, by counting, at every threshold of a fine grid."""
    chosen = youden_thresholds(SHARES, LABELS)
    assert chosen[3] == 0.5  # no image has it
    for threshold, share, truth in zip(chosen[:3], SHARES.T, LABELS.T == 1, strict=False):

        def index(at: float, share=share, truth=truth) -> float:
            return (share > at)[truth].mean() + (share <= at)[~truth].mean()

        assert index(threshold) == pytest.approx(max(index(at) for at in np.linspace(0, 1, 5001)))


def test_many_images_need_little_memory() -> None:
    shares = RNG.random((100_000, 1))
    labels = (shares + RNG.normal(0, 0.2, shares.shape) > 0.4).astype(int)
    # Every image against every threshold would be 10 GB.
    tracemalloc.start()
    youden_thresholds(shares, labels)
    assert tracemalloc.get_traced_memory()[1] < 50e6
    tracemalloc.stop()


def test_of_equally_good_ones_the_nearest_to_one_half() -> None:
    assert youden_thresholds([[0.1], [0.7]], [[0], [1]]) == (0.5,)
    assert youden_thresholds([[0.1], [0.2]], [[0], [1]]) == pytest.approx((0.15,))
    assert youden_thresholds([[1.0], [1.0 - 1e-9]], [[1], [0]]) == (0.5,)


@pytest.mark.parametrize(
    ("shares", "labels", "message"),
    [
        (SHARES, LABELS[:, :3], r"of one shape .* \(30, 4\) and \(30, 3\)"),
        (SHARES[:0], LABELS[:0], "of one shape"),
        (SHARES, LABELS * 2, "labels of 0 and 1"),
        (SHARES * np.nan, LABELS, "probabilities from 0 to 1"),
    ],
)
def test_refuses(shares, labels, message: str) -> None:
    with pytest.raises(InputError, match=message):
        youden_thresholds(shares, labels)
