"""Where the smallest perturbation is known, attacks find it."""

import pytest

from tfrobust.attacks import Attack, CarliniWagner, L2Min, LinearizedMargin


@pytest.mark.parametrize(
    ("attack", "excess"),
    [
        (LinearizedMargin(batch_size=5), 0.01),
        # Its last steps are 2e-4 long, 2 % of the smallest size that is asked about, and the
        # walk goes back and forth across the boundary.
        (L2Min(batch_size=5), 0.01),
        # What its search for the constant leaves.
        (CarliniWagner(batch_size=5), 0.05),
    ],
    ids=lambda value: getattr(value, "name", value),
)
def test_the_smallest_perturbations_are_found(attack: Attack, excess: float, known) -> None:
    result = attack(known.model, known.images, known.labels)
    ratio = (result.rmse / known.distances)[known.distances >= 0.01]
    assert len(ratio) >= 3
    assert (ratio > 1 - 1e-4).all(), "smaller than the smallest possible"
    assert (ratio < 1 + excess).all(), ratio
