"""Maps against regions, by hand and by brute force."""

import itertools

import hypothesis.extra.numpy as arrays
import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from tfrobust.errors import InputError
from tfrobust.metrics import (
    average_precision,
    intersection_over_union,
    pointing_game,
    relevance_mass,
    relevance_rank,
    roc_auc,
)

MAPS = np.array([[[4.0, 3, -2], [1, 0, 0]], [[0, 0, 0], [0, 0, 5]]])
REGIONS = np.array([[[1, 0, 1], [0, 0, 0]], [[0, 0, 0], [1, 1, 0]]], bool)


def test_by_hand() -> None:
    np.testing.assert_array_equal(pointing_game(MAPS, REGIONS), [1, 0])
    np.testing.assert_array_equal(pointing_game(MAPS, REGIONS, tolerance=1), [1, 1])
    np.testing.assert_allclose(relevance_mass(MAPS, REGIONS), [4 / 8, 0])
    np.testing.assert_allclose(relevance_rank(MAPS, REGIONS), [1 / 2, 0])
    np.testing.assert_allclose(intersection_over_union(MAPS, REGIONS), [1 / 3, 0])
    # Pairs of a pixel inside and one outside: 4 beats four of four; −2 none.
    np.testing.assert_allclose(roc_auc(MAPS, REGIONS), [4 / 8, (2 * 3 / 2) / 8])
    # Precision 1 at a recall of ½, then 2 of 6; all zeros come together, 2 of 6 as well.
    np.testing.assert_allclose(average_precision(MAPS, REGIONS), [(1 + 1 / 3) / 2, 1 / 3])


def test_a_map_without_a_positive_value_has_no_mass() -> None:
    np.testing.assert_array_equal(relevance_mass(-np.ones((1, 2, 3)), REGIONS[:1]), 0)


@given(
    arrays.arrays(np.float64, (3, 3), elements=st.integers(-3, 3)),
    arrays.arrays(bool, (3, 3)).filter(np.any),
)
def test_against_brute_force(values: np.ndarray, region: np.ndarray) -> None:
    inside, outside = values[region], values[~region]
    pairs = list(itertools.product(inside, outside))
    auc = np.mean([(one > other) + (one == other) / 2 for one, other in pairs]) if pairs else np.nan
    np.testing.assert_allclose(roc_auc(values[None], region[None]), [auc])
    precision, recall = 0.0, 0.0
    for threshold in sorted(set(values.ravel()), reverse=True):
        taken = values >= threshold
        now = (taken & region).sum() / region.sum()
        precision += (now - recall) * (taken & region).sum() / taken.sum()
        recall = now
    np.testing.assert_allclose(average_precision(values[None], region[None]), [precision])


def test_the_region_itself_is_the_best_map() -> None:
    best = REGIONS.astype(float)
    for measure in (
        pointing_game,
        relevance_mass,
        relevance_rank,
        intersection_over_union,
        roc_auc,
        average_precision,
    ):
        np.testing.assert_array_equal(measure(best, REGIONS), 1, err_msg=measure.__name__)
        assert measure(best[:0], REGIONS[:0]).shape == (0,)


@pytest.mark.parametrize(
    ("maps", "regions", "message"),
    [
        (MAPS[0], REGIONS[0], r"of one shape, got \(2, 3\)"),
        (MAPS * np.nan, REGIONS, "finite numbers"),
        (MAPS, REGIONS * 255, "False and True, got values"),
        (MAPS, REGIONS & np.array([True, False])[:, None, None], "none in 1 of 2, .* image 1"),
    ],
)
def test_refuses(maps: np.ndarray, regions: np.ndarray, message: str) -> None:
    with pytest.raises(InputError, match=message):
        relevance_mass(maps, regions)
    with pytest.raises(InputError, match="tolerance of at least 0 pixels, got -1"):
        pointing_game(MAPS, REGIONS, tolerance=-1)
