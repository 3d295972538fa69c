"""Region perturbation on a linear network, worked out by hand."""

import numpy as np
import pytest

from tfrobust.errors import InputError
from tfrobust.metrics import RegionPerturbation


@pytest.mark.parametrize("patch", [2, 3])
def test_by_hand(linear, patch: int) -> None:
    falls = linear.attributions(0.5)
    edges = range(0, 4, patch)
    by_hand = []
    for one in falls:
        parts = sorted(
            (
                one[row : row + patch, column : column + patch].sum()
                for row in edges
                for column in edges
            ),
            reverse=True,
        )
        by_hand.append(np.mean(np.cumsum([0, *parts])))
    measure = RegionPerturbation(patch=patch, score="logit")
    found = measure(linear, linear.images, linear.classes, falls)
    np.testing.assert_allclose(found, by_hand, atol=1e-5)


def test_a_reversed_map_is_worse_and_one_region_may_be_enough(linear) -> None:
    falls = linear.attributions(0.5)
    asked = (linear, linear.images, linear.classes)
    right = RegionPerturbation(patch=1, score="logit")(*asked, falls)
    assert (right > RegionPerturbation(patch=1, score="logit")(*asked, -falls)).all()
    first = RegionPerturbation(patch=1, regions=1, score="logit")(*asked, falls)
    np.testing.assert_allclose(first, falls.max(axis=(1, 2)) / 2, atol=1e-5)
    with pytest.raises(InputError, match="expected patch of at least 1, got 0"):
        RegionPerturbation(patch=0)
