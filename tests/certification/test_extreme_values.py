"""The fit of an endpoint against distributions that have one."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import weibull_max

from tfrobust.certification.extreme_values import steepest


@pytest.mark.parametrize("shape", [1.5, 2.0, 4.0])
def test_fit_finds_a_known_endpoint(shape: float) -> None:
    draws = [weibull_max.rvs(shape, loc=5, scale=0.3, size=400, random_state=s) for s in range(15)]
    found = [steepest(values) for values in draws]
    assert np.median([one[0] for one in found]) == pytest.approx(5, abs=0.03)
    assert np.mean([one[1] > 0.05 for one in found]) > 0.8
    assert all(one[2] for one in found)


def test_fit_is_the_likeliest() -> None:
    """No worse than scipy's own search for all three parameters."""
    for seed in range(5):
        values = weibull_max.rvs(3, loc=2, scale=0.5, size=100, random_state=seed)
        shape, loc, scale = weibull_max.fit(values, 3, loc=2, scale=0.5)
        endpoint, _, _ = steepest(values)
        again = weibull_max.fit(values, shape, floc=endpoint, scale=scale)
        ours = weibull_max.logpdf(values, again[0], endpoint, again[2]).sum()
        assert ours >= weibull_max.logpdf(values, shape, loc, scale).sum() - 1e-3


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(0.1, 10), min_size=10, max_size=40).map(np.array), st.floats(1e-3, 1e3))
def test_fit_is_never_below_what_was_seen_and_scales(values: np.ndarray, factor: float) -> None:
    endpoint, fit, _ = steepest(values)
    assert endpoint >= values.max() and 0 <= fit <= 1
    assert endpoint <= values.max() + 10.01 * np.ptp(values)
    assert steepest(factor * values)[0] == pytest.approx(factor * endpoint, rel=1e-3)


def test_no_endpoint_is_told_by_values_without_one() -> None:
    values = np.random.default_rng(0).exponential(size=300) + 1
    _, fit, settled = steepest(values)
    assert fit < 0.05 or not settled
