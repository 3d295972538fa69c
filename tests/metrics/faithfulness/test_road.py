"""Removing pixels and filling them in from their neighbours."""

import numpy as np
import pytest

from tfrobust.errors import InputError
from tfrobust.metrics import Road
from tfrobust.metrics.faithfulness.road import impute


def weight(one: tuple[int, int], other: tuple[int, int]) -> float:
    apart = abs(one[0] - other[0]), abs(one[1] - other[1])
    return {(0, 1): 1 / 6, (1, 0): 1 / 6, (1, 1): 1 / 12}.get(apart, 0.0)


def test_each_filled_pixel_is_the_mean_of_its_neighbours() -> None:
    rng = np.random.default_rng(1)
    image = rng.random((5, 4, 2))
    gone = rng.random((5, 4)) < 0.6
    filled = impute(image, gone)
    np.testing.assert_array_equal(filled[~gone], image[~gone].astype(np.float32))
    places = [(row, column) for row in range(5) for column in range(4)]
    for place in zip(*np.nonzero(gone), strict=True):
        weights = np.array([weight(place, other) for other in places])
        mean = weights @ filled.reshape(20, 2) / weights.sum()
        np.testing.assert_allclose(filled[place], mean, atol=1e-6)  # float32


def test_one_value_stays_one_value() -> None:
    image = np.full((6, 6, 1), 0.3)
    np.testing.assert_allclose(impute(image, np.arange(36).reshape(6, 6) > 0), 0.3, atol=1e-6)


def test_the_score_without_the_top_by_hand(linear) -> None:
    maps = linear.attributions(0.5)
    measure = Road(shares=(0.25,), noise=0.0, score="logit")
    found = measure(linear, linear.images, linear.classes, maps)
    for number in range(3):
        gone = maps[number] >= np.sort(maps[number].ravel())[-4]
        left = (impute(linear.images[number], gone) * linear.gradient[number]).sum()
        np.testing.assert_allclose(found[number], left, atol=1e-5)


def test_a_share_that_rounds_to_all_pixels_leaves_one(linear) -> None:
    maps = linear.attributions(0.5)
    asked = (linear, linear.images, linear.classes, maps)
    options = {"noise": 0.0, "score": "logit"}
    all_but_one = Road(shares=(15 / 16,), **options)(*asked)
    np.testing.assert_array_equal(Road(shares=(0.99,), **options)(*asked), all_but_one)


def test_refuses() -> None:
    for shares in ((), (1.0,)):
        with pytest.raises(InputError, match="shares above 0 and below 1"):
            Road(shares=shares)
