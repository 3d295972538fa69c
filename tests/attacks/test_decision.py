"""Attacks by decisions, by Foolbox where it is installed."""

import importlib.util

import numpy as np
import pytest

from tfrobust.attacks import (
    AttackResult,
    Decision,
    LinearizedMargin,
)
from tfrobust.attacks.foolbox import import_foolbox
from tfrobust.errors import InputError, ReportedError

with_foolbox = pytest.mark.skipif(
    importlib.util.find_spec("foolbox") is None,
    reason="Foolbox is not installed: pip install -e '.[foolbox]'",
)


def only(known, row: int):
    """One image of them."""
    return known._make([known.model, *(part[row : row + 1] for part in known[1:])])


@pytest.mark.skipif(
    importlib.util.find_spec("foolbox") is not None, reason="Foolbox is installed here"
)
def test_without_foolbox_the_message_says_what_to_install() -> None:
    with pytest.raises(ReportedError, match="pip install 'tfrobust"):
        Decision()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "Brute"}, "HopSkipJump or Boundary, got 'Brute'"),
        ({"steps": 0}, "steps of at least 1 and a seed not below 0, got 0, 0"),
        ({"seed": -1}, "a seed not below 0, got 64, -1"),
    ],
)
def test_decision_refuses(options: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Decision(**options)


@with_foolbox
def test_foolbox_runs_on_this_numpy() -> None:
    import_foolbox()
    assert np.find_common_type([np.dtype("float32"), np.dtype("float64")], []) == np.float64


@with_foolbox
@pytest.mark.parametrize(
    ("options", "kind", "excess"),
    [
        ({"steps": 3, "bounds": (0.0, 1.0)}, "Misclassified", 0.5),
        ({"steps": 3}, "BelowChance", 0.5),
        ({"kind": "Boundary", "steps": 100, "bounds": (0.0, 1.0)}, "TargetClass", 4.0),
    ],
)
def test_decisions_are_never_below_the_truth(options, kind, excess, linear) -> None:
    one = only(linear, 0)
    attack = Decision(batch_size=1, **options)
    result = attack(one.decisions(), one.images, one.labels, one.criterion(kind))
    ratio = result.rmse / one.distances
    assert (ratio > 1 - 0.02).all() and (ratio < 1 + excess).all(), ratio
    if attack.bounds:
        assert result.adversarials.min() >= 0 and result.adversarials.max() <= 1


@with_foolbox
def test_decisions_do_not_depend_on_the_block(linear) -> None:
    model, images, labels, _ = linear
    together = Decision(steps=1, batch_size=3)(model, images[:2], labels[:2], numbers=[7, 8])
    alone = Decision(steps=1, batch_size=3)(model, images[1:2], labels[1:2], numbers=[8])
    np.testing.assert_array_equal(alone.adversarials[0], together.adversarials[1])
    other = Decision(steps=1, batch_size=3, seed=1)(model, images[1:2], labels[1:2], numbers=[8])
    assert other.rmse[0] != alone.rmse[0]


@with_foolbox
def test_decisions_begin_with_what_is_known(quadratic) -> None:
    # Image 3 lies outside a sphere that no noise hits: nothing is found without a start.
    model, images, labels, distances = only(quadratic, 3)
    attack = Decision(steps=2, batch_size=1)
    assert not attack(model, images, labels).found.any()
    found = LinearizedMargin(steps=24, batch_size=1)(model, images, labels)
    farther = images + 1.5 * (found.adversarials - images)
    start = AttackResult(farther, 1.5 * found.rmse, found.found, found.late)
    result = attack(model, images, labels, start=start)
    assert result.found.all() and 1 - 1e-4 < result.rmse[0] / distances[0] <= 1.5
