"""Region perturbation on a linear network, worked out by hand."""

import numpy as np
import pytest

from tfrobust.errors import InputError
from tfrobust.metrics import region_perturbation


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
    found = region_perturbation(
        linear, linear.images, linear.classes, falls, patch=patch, score="logit"
    )
    np.testing.assert_allclose(found, by_hand, atol=1e-5)


def test_a_reversed_map_is_worse_and_one_region_may_be_enough(linear) -> None:
    falls = linear.attributions(0.5)
    asked = (linear, linear.images, linear.classes)
    right = region_perturbation(*asked, falls, patch=1, score="logit")
    assert (right > region_perturbation(*asked, -falls, patch=1, score="logit")).all()
    first = region_perturbation(*asked, falls, patch=1, regions=1, score="logit")
    np.testing.assert_allclose(first, falls.max(axis=(1, 2)) / 2, atol=1e-5)
    with pytest.raises(InputError, match="expected patch of at least 1, got 0"):
        region_perturbation(*asked, falls, patch=0)
