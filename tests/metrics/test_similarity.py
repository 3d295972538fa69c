"""Rank correlation against SciPy's, overlap by counting."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy.stats import spearmanr

from tfrobust.errors import InputError
from tfrobust.metrics import rank_correlation, top_k_overlap

# Few different values, so that there are ties.
MAPS = arrays.arrays(np.float32, (2, 3, 4), elements=st.sampled_from([-1, 0, 0.5, 2]))


@settings(max_examples=100, deadline=None)
@given(one=MAPS, other=MAPS)
def test_rank_correlation_is_spearmans(one: np.ndarray, other: np.ndarray) -> None:
    found = rank_correlation(one, other)
    for row in range(2):
        flat = [np.ptp(values[row]) == 0 for values in (one, other)]
        if any(flat):
            assert found[row] == (1.0 if all(flat) else 0.0)
        else:
            expected = spearmanr(one[row].ravel(), other[row].ravel()).statistic
            assert found[row] == pytest.approx(expected, abs=1e-12)


def test_only_the_order_counts() -> None:
    values = np.random.default_rng(0).random((3, 5, 5))
    np.testing.assert_allclose(rank_correlation(values, np.exp(9 * values)), 1)
    np.testing.assert_allclose(rank_correlation(values, -values), -1)


def test_overlap_by_counting() -> None:
    one = np.arange(10.0).reshape(1, 2, 5)
    other = np.array([[[0, 0, 0, 0, 0], [5, 0, 0, 9, 8]]], float)
    # Of the top three, 7 8 9 and 5 8 9 by place, two are common.
    assert top_k_overlap(one, other, share=0.3) == pytest.approx([2 / 3])
    assert top_k_overlap(one, other, share=0.01) == pytest.approx([0.0])  # one pixel: 9 and 8
    assert top_k_overlap(one, one) == pytest.approx([1.0])
    assert top_k_overlap(one, other, share=1.0) == pytest.approx([1.0])


def test_no_images() -> None:
    nothing = np.zeros((0, 4, 4))
    assert rank_correlation(nothing, nothing).shape == (0,)
    assert top_k_overlap(nothing, nothing).shape == (0,)


@pytest.mark.parametrize("share", [0.0, 1.5, float("nan")])
def test_refuses_shares(share: float) -> None:
    with pytest.raises(InputError, match="a share above 0 and at most 1, got"):
        top_k_overlap(np.zeros((1, 2, 2)), np.zeros((1, 2, 2)), share=share)


def test_refuses_maps_of_other_shapes() -> None:
    for call in (rank_correlation, top_k_overlap):
        with pytest.raises(InputError, match="one shape"):
            call(np.zeros((1, 2, 2)), np.zeros((1, 2, 3)))
