"""The bootstrap over images and over groups, against explicit resampling."""

import numpy as np
import pytest

from tfrobust.core.ara import accuracy_robustness_area, area, area_ratio
from tfrobust.core.bootstrap import Estimate, draws, interval

GROUPS = ("b", "a", "b", "c", "a", "b", "c", "d")


def test_groups_are_drawn_whole() -> None:
    found = np.concatenate(list(draws(8, GROUPS, resamples=500, seed=1)))
    assert found.shape == (500, 8)
    for name in set(GROUPS):
        own = found[:, [group == name for group in GROUPS]]
        assert np.all(own == own[:, :1])
    firsts = found[:, [1, 0, 3, 7]]  # one of each group
    assert np.all(firsts.sum(axis=1) == 4)
    # A group is drawn once on average; the deviation of the mean of 500 draws is 0.04.
    np.testing.assert_allclose(firsts.mean(axis=0), 1, atol=0.16)


@pytest.mark.parametrize("groups", [(), ("x",) * 8])
def test_without_groups_or_with_one_images_are_drawn(groups: tuple[str, ...]) -> None:
    found = np.concatenate(list(draws(8, groups, resamples=50, seed=3)))
    wanted = np.random.default_rng(3).multinomial(8, np.full(8, 1 / 8), size=50)
    np.testing.assert_array_equal(found, wanted)


def test_the_grouped_interval_of_an_area_against_brute_force() -> None:
    rng = np.random.default_rng(0)
    names = np.array(GROUPS * 4)
    rmse = rng.gamma(2, 0.02, 32) + 0.05 * (names == "a")
    found = accuracy_robustness_area(rmse, 4, groups=tuple(names), resamples=300, seed=5)
    kinds = sorted(set(GROUPS))
    areas = []
    for counts in np.random.default_rng(5).multinomial(4, [1 / 4] * 4, size=300):
        chosen = [
            rmse[names == kind]
            for kind, times in zip(kinds, counts, strict=True)
            for _ in range(times)
        ]
        areas.append(area(np.concatenate(chosen), 4))
    assert (found.low, found.high) == pytest.approx(interval(np.sort(areas)))
    assert found.value == pytest.approx(area(rmse, 4))
    alone = accuracy_robustness_area(rmse, 4, resamples=300, seed=5)
    assert found.low is not None and found.high is not None
    assert alone.low is not None and alone.high is not None
    assert found.high - found.low > alone.high - alone.low


def test_a_ratio_draws_the_groups_of_both_together() -> None:
    rmse = np.random.default_rng(0).gamma(2, 0.02, 8)
    ratio = area_ratio(2 * rmse, rmse, 4, paired=True, groups=GROUPS)
    assert (ratio.low, ratio.high) == pytest.approx((2, 2))


def test_an_estimate_passes_over_what_is_not_defined() -> None:
    found = np.array([0.3, np.nan, 0.2, 0.4, np.nan, 0.3])
    assert Estimate.of(found) == Estimate(0.3, 0.2, 0.4)
    assert str(Estimate.of(found)) == "0.300 [0.200, 0.400]"
    assert Estimate.of(found[1:]) == Estimate.of(found[:2]) == Estimate(None, None, None)
    assert str(Estimate.of(found[:2])) == "not defined"
