"""The bisection over sizes."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tfrobust.attacks.fixed_size import next_sizes


def test_the_next_sizes_by_hand() -> None:
    below, above = np.array([0.5, 0.0, 0.25]), np.array([np.inf, 0.5, 1.0])
    np.testing.assert_allclose(next_sizes(below, above), [1.0, 0.25, 0.5])


@settings(max_examples=100, deadline=None)
@given(st.floats(1e-3, 1.0), st.floats(1e-4, 10.0))
def test_the_bracket_closes_on_any_size(first: float, truth: float) -> None:
    below, above, size = np.zeros(1), np.full(1, np.inf), np.array([first])
    for _ in range(30):
        met = size >= truth
        above, below = np.where(met, size, above), np.where(met, below, size)
        size = next_sizes(below, above)
        assert (below < size).all() and (size < above).all()
    # Thirty sizes find the decade and halve the rest.
    assert below[0] < truth <= above[0] and above[0] / below[0] < 1.01
