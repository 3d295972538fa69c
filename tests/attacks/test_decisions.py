"""Attacks that take no gradient of the model: Transfer, and Foolbox's where it is installed."""

import importlib.util

import numpy as np
import pytest
import tensorflow as tf

from tfrobust.attacks import (
    FMN,
    AttackResult,
    BelowChance,
    Decision,
    LinearizedMargin,
    Misclassified,
    TargetClass,
    Transfer,
)
from tfrobust.attacks.foolbox import import_foolbox
from tfrobust.core.distances import Bounds
from tfrobust.errors import InputError, ReportedError

with_foolbox = pytest.mark.skipif(
    importlib.util.find_spec("foolbox") is None,
    reason="Foolbox is not installed: pip install -e '.[foolbox]'",
)


def goal_of(name: str, labels: np.ndarray):
    return {
        "Misclassified": Misclassified(),
        "BelowChance": BelowChance(),
        "TargetClass": TargetClass(1 - labels),
    }[name]


def only(known, row: int) -> tuple:
    """One image of them."""
    return known.model, *(part[row : row + 1] for part in known[1:])


def through(model, tilt: float):
    """Decisions of a model without its gradient, its images a little brighter."""

    def decisions(images: tf.Tensor) -> tf.Tensor:
        return tf.round(tf.stop_gradient(model(images + tilt)) * 1e4) / 1e4

    return decisions


@pytest.mark.parametrize("goal", ["Misclassified", "BelowChance", "TargetClass"])
@pytest.mark.parametrize("bounds", [None, (0.0, 1.0)])
def test_transfer_from_the_same_network_finds_its_sizes(
    goal: str, bounds: Bounds | None, known
) -> None:
    model, images, labels, distances = known
    attack = Transfer(surrogate=model, attack=FMN(steps=60, bounds=bounds, batch_size=5))
    result = attack(through(model, 0.0), images, labels, goal_of(goal, labels))
    ratio = result.rmse / distances
    # Rounded logits move the boundary by 1e-4 of a logit.
    assert (ratio > 1 - 0.02).all() and (ratio < 1.05).all(), ratio
    if bounds:
        assert result.adversarials.min() >= 0 and result.adversarials.max() <= 1


def test_transfer_scales_until_the_model_gives_way(quadratic) -> None:
    model, images, labels, distances = quadratic

    def smaller(images: tf.Tensor) -> tf.Tensor:
        """Another sphere around the same centre, of radius √0.5."""
        return model(images) - tf.constant([0.14, 0.0])

    inside = np.flatnonzero(np.asarray(smaller(images))[:, 0] > 0)
    assert len(inside) >= 2
    attack = Transfer(surrogate=smaller, attack=LinearizedMargin(steps=24, batch_size=5))
    result = attack(model, images[inside], labels[inside])
    # Both spheres' nearest points lie on the line from the centre.
    ratio = result.rmse / distances[inside]
    assert (ratio > 1 - 1e-4).all() and (ratio < 1.01).all(), ratio
    other_way = Transfer(surrogate=model, attack=LinearizedMargin(steps=24, batch_size=5))
    result = other_way(smaller, images[inside], labels[inside])
    truth = np.sqrt(0.5) - (0.8 - 4 * distances[inside])
    ratio = result.rmse * 4 / truth
    assert (ratio > 1 - 1e-4).all() and (ratio < 1.01).all(), ratio


def test_what_the_surrogate_has_wrong_is_not_found(linear) -> None:
    model, images, labels, _ = linear
    attack = Transfer(
        surrogate=lambda images: -model(images), attack=LinearizedMargin(batch_size=5)
    )
    result = attack(model, images, labels)
    assert not result.found.any() and np.isinf(result.rmse).all()


def test_a_start_is_of_the_model_and_not_of_the_surrogate(linear) -> None:
    model, images, labels, _ = linear
    start = LinearizedMargin(batch_size=5)(model, images, labels)
    attack = Transfer(surrogate=through(model, 0.1), attack=LinearizedMargin(batch_size=5))
    result = attack(model, images, labels, start=start)
    assert not result.found.any()  # the surrogate gives no gradient, hence no direction


def test_the_inner_attack_has_the_say() -> None:
    attack = Transfer(
        surrogate=tf.identity, attack=LinearizedMargin(bounds=(0.0, 1.0), batch_size=7), factor=4
    )
    assert attack.bounds and attack.batch_size == 7
    assert attack.name == f"transfer of {LinearizedMargin().name}"
    assert attack.scales[0] == 0.125 and attack.scales[-1] == 4
    assert (np.diff(np.log(attack.scales)) < np.log(1.5) + 1e-6).all()


@pytest.mark.parametrize("options", [{"factor": 0.5}, {"line_steps": -1}, {"surrogate": 3}])
def test_transfer_refuses(options: dict) -> None:
    with pytest.raises(InputError, match="expected"):
        Transfer(**{"surrogate": tf.identity, **options})


@pytest.mark.skipif(
    importlib.util.find_spec("foolbox") is not None, reason="Foolbox is installed here"
)
def test_without_foolbox_the_message_says_what_to_install() -> None:
    with pytest.raises(ReportedError, match="pip install 'tfrobust"):
        Decision()


@pytest.mark.parametrize("options", [{"kind": "Brute"}, {"steps": 0}, {"seed": -1}])
def test_decision_refuses(options: dict) -> None:
    with pytest.raises(InputError, match="expected"):
        Decision(**options)


@with_foolbox
def test_foolbox_runs_on_this_numpy() -> None:
    import_foolbox()
    assert np.find_common_type([np.dtype("float32"), np.dtype("float64")], []) == np.float64


@with_foolbox
@pytest.mark.parametrize(
    ("options", "goal", "excess"),
    [
        ({"steps": 3, "bounds": (0.0, 1.0)}, "Misclassified", 0.5),
        ({"steps": 3}, "BelowChance", 0.5),
        ({"kind": "Boundary", "steps": 100, "bounds": (0.0, 1.0)}, "TargetClass", 4.0),
    ],
)
def test_decisions_are_never_below_the_truth(options, goal, excess, linear) -> None:
    model, images, labels, distances = only(linear, 0)
    attack = Decision(batch_size=1, **options)
    result = attack(through(model, 0.0), images, labels, goal_of(goal, labels))
    ratio = result.rmse / distances
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
