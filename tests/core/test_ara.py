"""The area against brute force, hand-made step functions and explicit resampling."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfrobust.core.ara import (
    accuracy_at,
    accuracy_robustness_area,
    area,
    area_ratio,
    share_interval,
)
from tfrobust.errors import InputError

SIZES = st.lists(st.floats(0, 1), min_size=1, max_size=30).map(np.array)
CLASSES = st.integers(2, 12)


def riemann(rmse: np.ndarray, num_classes: int, steps: int = 200_000) -> float:
    """∫ max(0, acc − 1/K) by the midpoint rule."""
    end = rmse[np.isfinite(rmse)].max()
    middles = (np.arange(steps) + 0.5) * end / steps
    accuracy = (rmse[None, :] > middles[:, None]).mean(axis=1)
    return float(np.maximum(0, accuracy - 1 / num_classes).sum() * end / steps)


@pytest.mark.parametrize(
    ("rmse", "num_classes", "expected"),
    [
        ([0.1], 2, 0.1 * 0.5),
        ([0.0, 0.0], 2, 0.0),
        ([0.1, 0.3], 2, 0.1 * 0.5),  # 1.0 until 0.1, then one half: a guess
        ([0.3, 0.1], 10, 0.1 * 0.9 + 0.2 * 0.4),
        ([0.0, 0.2, 0.2, 0.4], 4, 0.2 * 0.5),  # 3/4 until 0.2, then 1/4
        ([0.1, 0.1, 0.1, np.inf], 4, 0.1 * 0.75),  # 1/4 unfound: no more than a guess
    ],
)
def test_area_by_hand(rmse: list[float], num_classes: int, expected: float) -> None:
    assert area(np.array(rmse), num_classes) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("num_classes", [2, 3, 10])
@pytest.mark.parametrize("count", [1, 7, 40])
def test_area_against_brute_force(num_classes: int, count: int) -> None:
    rmse = np.random.default_rng(count).exponential(0.05, count)
    rmse[: count // 5] = 0.0
    assert area(rmse, num_classes) == pytest.approx(riemann(rmse, num_classes), rel=2e-4)


@settings(max_examples=60, deadline=None)
@given(SIZES, CLASSES, st.floats(0.01, 100))
def test_area_scales_with_sizes(rmse: np.ndarray, num_classes: int, factor: float) -> None:
    assert area(factor * rmse, num_classes) == pytest.approx(
        factor * area(rmse, num_classes), rel=1e-9, abs=1e-300
    )


@settings(max_examples=60, deadline=None)
@given(SIZES, CLASSES, st.data())
def test_smaller_sizes_make_no_larger_area(
    rmse: np.ndarray, num_classes: int, data: st.DataObject
) -> None:
    shares = data.draw(st.lists(st.floats(0, 1), min_size=len(rmse), max_size=len(rmse)))
    assert area(rmse * np.array(shares), num_classes) <= area(rmse, num_classes) + 1e-12


@settings(max_examples=40, deadline=None)
@given(SIZES, CLASSES, st.integers(0, 30))
def test_bounded_only_where_no_more_than_a_guess_is_unfound(
    rmse: np.ndarray, num_classes: int, unfound: int
) -> None:
    sizes = np.append(rmse, np.full(unfound, np.inf))
    ara = accuracy_robustness_area(sizes, num_classes, resamples=50)
    assert (ara.value is None) == (unfound * num_classes > len(sizes))
    assert (ara.low is None) == (ara.value is None)
    assert (ara.images, ara.unfound) == (len(sizes), unfound)


def test_accuracy_falls_at_the_sizes_themselves() -> None:
    sizes = np.array([0.0, 0.1, 0.15, 0.2])
    assert accuracy_at(sizes, np.array([0.0, 0.1, 0.2, np.inf])).tolist() == [0.75, 0.5, 0.5, 0.25]


def resampled(count: int, draws: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(count, size=(draws, count))


def test_interval_is_that_of_explicit_resampling() -> None:
    rmse = np.random.default_rng(3).gamma(2.0, 0.02, 80)
    ara = accuracy_robustness_area(rmse, 10)
    areas = [area(rmse[rows], 10) for rows in resampled(80, 2000, seed=9)]
    low, high = np.quantile(areas, [0.025, 0.975])
    width = high - low
    assert ara.low == pytest.approx(low, abs=0.08 * width)
    assert ara.high == pytest.approx(high, abs=0.08 * width)
    assert ara.low < ara.value < ara.high


def test_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    truth = area(rng.gamma(2.0, 0.02, 200_000), 10)
    hits = 0
    for _ in range(200):
        ara = accuracy_robustness_area(rng.gamma(2.0, 0.02, 60), 10, resamples=300)
        hits += ara.low <= truth <= ara.high
    assert 0.88 <= hits / 200 <= 0.99


def test_interval_does_not_depend_on_how_draws_are_cut() -> None:
    """5,000 images are drawn 800 rows at a time."""
    rmse = np.random.default_rng(0).gamma(2.0, 0.02, 5000)
    ara = accuracy_robustness_area(rmse, 10)
    assert ara.value == pytest.approx(area(rmse, 10))
    assert 0.97 * ara.value < ara.low < ara.value < ara.high < 1.03 * ara.value


def test_ratio_is_that_of_explicit_resampling() -> None:
    rng = np.random.default_rng(5)
    base = rng.gamma(2.0, 0.01, 80)
    rmse = base * rng.uniform(2, 4, 80)
    ratio = area_ratio(rmse, base, 10, paired=True)
    ratios = [area(rmse[rows], 10) / area(base[rows], 10) for rows in resampled(80, 2000, seed=9)]
    low, high = np.quantile(ratios, [0.025, 0.975])
    assert ratio.value == pytest.approx(area(rmse, 10) / area(base, 10))
    assert ratio.low == pytest.approx(low, abs=0.1 * (high - low))
    assert ratio.high == pytest.approx(high, abs=0.1 * (high - low))
    independent = area_ratio(rmse, base, 10, paired=False)
    assert independent.high - independent.low > 2 * (ratio.high - ratio.low)


def test_ratio_of_scaled_sizes_is_exact_when_paired() -> None:
    base = np.random.default_rng(1).gamma(2.0, 0.01, 30)
    ratio = area_ratio(3 * base, base, 5, paired=True)
    assert (ratio.value, ratio.low, ratio.high) == pytest.approx((3, 3, 3))


@pytest.mark.parametrize(
    ("rmse", "base"), [([0.1, 0.2], [0.0, 0.0]), ([np.inf, 0.1], [0.1, 0.1]), ([0.1], [np.inf])]
)
def test_no_ratio_where_an_area_is_not_bounded_or_zero(
    rmse: list[float], base: list[float]
) -> None:
    ratio = area_ratio(np.array(rmse), np.array(base), 10, paired=False)
    assert (ratio.value, str(ratio)) == (None, "not bounded")


def test_refuses_what_is_no_size() -> None:
    for rmse in ([], [-0.1], [np.nan], [[0.1]]):
        with pytest.raises(InputError, match="each 0 or above"):
            accuracy_robustness_area(np.array(rmse), 10)
    with pytest.raises(InputError, match="1 classes"):
        accuracy_robustness_area(np.array([0.1]), 1)
    with pytest.raises(InputError, match="as many sizes"):
        area_ratio(np.ones(2), np.ones(3), 10, paired=True)


def test_share_interval_is_wilsons() -> None:
    assert share_interval(8, 10) == pytest.approx((0.4902, 0.9433), abs=1e-4)
    low, high = share_interval(10, 10)
    assert (low, high) == pytest.approx((0.7225, 1.0), abs=1e-3)
