"""How few pixels a map speaks of."""

import hypothesis.extra.numpy as arrays
import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from tfrobust.errors import InputError
from tfrobust.metrics import effective_complexity, entropy, sparseness

ONE, ALL, NONE = np.zeros((2, 3)), np.full((2, 3), -0.2), np.zeros((2, 3))
ONE[1, 1] = -7
MAPS = np.stack([ONE, ALL, NONE])


def test_one_pixel_all_pixels_and_none() -> None:
    np.testing.assert_allclose(sparseness(MAPS), [5 / 6, 0, 0], atol=1e-12)
    np.testing.assert_allclose(entropy(MAPS), [0, np.log(6), np.log(6)])
    np.testing.assert_allclose(effective_complexity(MAPS), [1 / 6, 1, 0])


@given(arrays.arrays(np.float64, (2, 4), elements=st.integers(-9, 9)).filter(np.any))
def test_the_gini_index_is_the_mean_difference_of_pairs(values: np.ndarray) -> None:
    """Half the mean distance of two values, in parts of the mean: its definition."""
    sizes = np.abs(values).ravel()
    by_hand = np.abs(sizes[:, None] - sizes).mean() / (2 * sizes.mean())
    np.testing.assert_allclose(sparseness(values[None]), [by_hand], atol=1e-9)


def test_refuses() -> None:
    for measure in (sparseness, entropy, effective_complexity):
        assert measure(MAPS[:0]).shape == (0,)
        with pytest.raises(InputError, match=r"maps \(N, H, W\), got \(2, 3\)"):
            measure(ONE)
        with pytest.raises(InputError, match="finite numbers"):
            measure(np.full((1, 2, 3), np.inf))
    with pytest.raises(InputError, match="threshold from 0 to below 1, got 1"):
        effective_complexity(MAPS, threshold=1)
