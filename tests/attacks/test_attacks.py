"""One table of all attacks, on networks small enough to know the answer."""

import dataclasses
import gc
import json
from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfrobust.attacks import (
    DDN,
    FGM,
    FMN,
    MIM,
    PGD,
    SPSA,
    Attack,
    AttackResult,
    BelowChance,
    Blend,
    CarliniWagner,
    Criterion,
    L2Min,
    LinearizedMargin,
    Misclassified,
    Square,
    TargetClass,
    Transfer,
)
from tfrobust.core.bounds import Bounds
from tfrobust.errors import InputError

SHAPE = (4, 5, 1)
CRITERIA = [Misclassified(), BelowChance(), TargetClass(2)]

rng = np.random.default_rng(0)
IN = rng.normal(size=(20, 12)).astype(np.float32)
OUT = rng.normal(size=(12, 3)).astype(np.float32)
PLANE = rng.normal(size=(20, 2)).astype(np.float32)
IMAGES = rng.random((6, *SHAPE), np.float32)


def curved(images: tf.Tensor) -> tf.Tensor:
    """Three classes, smooth boundaries."""
    return tf.tanh(tf.reshape(images - 0.5, (-1, 20)) @ IN / 2) @ OUT


def plane(images: tf.Tensor) -> tf.Tensor:
    """Two classes, one flat boundary: every criterion has the same distance, in closed form."""
    return tf.reshape(images - 0.5, (-1, 20)) @ PLANE


def flat(images: tf.Tensor) -> tf.Tensor:
    """Class 0 whatever the image: no gradient, nothing to find."""
    return 0 * tf.reshape(images, (-1, 20))[:, :3] + tf.constant([3.0, 0.0, 0.0])


class Row(NamedTuple):
    """An attack of the table.

    Args:
        kind: its class.
        quick: hyper-parameters with which it is quick on these images.
        excess: by which share its perturbations of a flat boundary are larger than the smallest
            possible, at most; None where it is not known.
        starts: whether it takes a perturbation that is known, and returns no larger one.
        blockwise: whether batches of two sizes are compared for all images.
        shares: whether an object with other numbers of steps finds its programs compiled already.
    """

    kind: Callable[..., Attack]
    quick: dict[str, Any]
    excess: float | None = None
    starts: bool = True
    blockwise: bool = False
    shares: bool = True

    def __call__(self, **options: Any) -> Attack:
        """The attack, quick enough for a test."""
        return self.kind(**{"batch_size": 6, **self.quick, **options})


ROUNDS = {"steps": 5, "rounds": 10}
TABLE = {
    # The walk crosses the boundary by steps that shrink to path/S² · 2 = 1e-3.
    "L2Min": Row(L2Min, {"steps": 100, "path": 5.0}, 0.03, starts=False, blockwise=True),
    # One step solves a plane; 2 % beyond it, then eight passes on the line, to 3e-5 of it.
    "LinearizedMargin": Row(LinearizedMargin, {"steps": 24}, 1e-4, blockwise=True),
    # Spheres lie 5 % apart, before the bisection.
    "DDN": Row(DDN, {"steps": 60}, 0.01, starts=False, blockwise=True),
    "FMN": Row(FMN, {"steps": 60}, 0.005, blockwise=True),
    # Ten radii, the last ones a few percent apart.
    "PGD": Row(PGD, ROUNDS, 0.10, blockwise=True, shares=False),
    # Of those that follow test_cleverhans.py compares batches of any size.
    "PGD-L∞": Row(PGD, {**ROUNDS, "norm": np.inf}, shares=False),
    "FGM": Row(FGM, {"rounds": 10}, shares=False),
    "MIM": Row(MIM, ROUNDS, shares=False),
    "CarliniWagner": Row(CarliniWagner, {"steps": 10, "searches": 4, "rate": 0.1}, shares=False),
    "Square": Row(Square, {"steps": 300}, blockwise=True, shares=False),
    "SPSA": Row(SPSA, {"steps": 10, "rounds": 8, "samples": 32}, shares=False),
}
ATTACKS = [pytest.param(row, id=name) for name, row in TABLE.items()]


def rows(**wanted: Any) -> list[Any]:
    """The table's rows of which something holds."""
    return [
        pytest.param(row, id=name)
        for name, row in TABLE.items()
        if all(getattr(row, field) == value for field, value in wanted.items())
    ]


def predicted(model, images: np.ndarray) -> np.ndarray:
    return np.argmax(model(images), axis=-1).astype(np.int32)


def met(model, criterion: Criterion, images: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Whether the criterion is met, by its definition, in NumPy."""
    logits = np.asarray(model(images), np.float64)
    if isinstance(criterion, Misclassified):
        return logits.argmax(-1) != labels
    if isinstance(criterion, TargetClass):
        return logits.argmax(-1) == criterion.targets
    shares = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    # XLA's last bit against NumPy's, on the boundary itself.
    return shares[np.arange(len(labels)), labels] <= 1 / logits.shape[-1] + 1e-6


@pytest.mark.parametrize(
    ("bounds", "criterion"),
    [
        *(((0.0, 1.0), criterion) for criterion in CRITERIA),
        # Each compiles another program, and bounds and criteria do not know each other.
        (None, CRITERIA[0]),
        *(pytest.param(None, criterion, marks=pytest.mark.slow) for criterion in CRITERIA[1:]),
    ],
    ids=str,
)
@pytest.mark.parametrize("row", ATTACKS)
def test_adversarials_meet_the_criterion_at_the_size_that_is_told(
    row: Row, criterion: Criterion, bounds: Bounds | None
) -> None:
    labels = predicted(curved, IMAGES)
    result = row(bounds=bounds)(curved, IMAGES, labels, criterion)
    # Within bounds a criterion may be out of reach; two thirds of these images are in every
    # attack's.
    assert result.found.all() if not bounds else result.found.sum() >= 4
    assert met(curved, criterion, result.adversarials, labels)[result.found].all()
    difference = result.adversarials.astype(np.float64) - IMAGES
    sizes = np.sqrt(np.mean(difference**2, axis=(1, 2, 3)))
    # adversarial = image + delta, rounded to float32: 6e-8 a pixel.
    np.testing.assert_allclose(result.rmse[result.found], sizes[result.found], atol=2e-7)
    np.testing.assert_array_equal(result.adversarials[~result.found], IMAGES[~result.found])
    assert np.isinf(result.rmse[~result.found]).all()
    # What meets the criterion already needs no change, and nothing else is of size 0.
    already = met(curved, criterion, IMAGES, labels)
    np.testing.assert_array_equal(result.rmse == 0, already)
    if bounds:
        assert result.adversarials.min() >= -1e-6 and result.adversarials.max() <= 1 + 1e-6


@pytest.mark.parametrize("row", ATTACKS)
def test_without_bounds_pixels_may_leave_them(row: Row) -> None:
    images = np.round(IMAGES)  # every pixel at an end: any change leaves on one side or other
    result = row()(curved, images, predicted(curved, images))
    assert result.adversarials.min() < 0 and result.adversarials.max() > 1


@pytest.mark.parametrize("kind", ["Misclassified", "BelowChance", "TargetClass"])
@pytest.mark.parametrize("row", [one for one in ATTACKS if one.values[0].excess])
def test_minimal_perturbations_of_a_linear_network(row: Row, kind: str) -> None:
    labels = predicted(plane, IMAGES)
    criteria = {
        "Misclassified": Misclassified(),
        "BelowChance": BelowChance(),
        "TargetClass": TargetClass(1 - labels),
    }
    result = row()(plane, IMAGES, labels, criteria[kind])
    logits = np.asarray(plane(IMAGES), np.float64)
    gap = np.abs(logits[:, 0] - logits[:, 1])
    closest = gap / np.linalg.norm(PLANE[:, 0] - PLANE[:, 1]) / np.sqrt(20)
    ratio = result.rmse / closest
    assert (ratio > 1 - 1e-4).all(), "smaller than the smallest possible"
    assert (ratio < 1 + row.excess).all(), ratio


@pytest.mark.parametrize("row", ATTACKS)
def test_what_is_wrong_already_has_size_zero_and_stays_the_image(row: Row) -> None:
    labels = predicted(curved, IMAGES)
    labels[:3] = (labels[:3] + 1) % 3
    result = row()(curved, IMAGES, labels)
    assert result.found.all() and not result.late[:3].any()
    np.testing.assert_array_equal(result.rmse[:3], 0)
    assert (result.rmse[3:] > 0).all()
    np.testing.assert_array_equal(result.adversarials[:3], IMAGES[:3])


@pytest.mark.parametrize("row", ATTACKS)
def test_not_found_is_infinite_never_zero(row: Row) -> None:
    result = row()(flat, IMAGES, np.zeros(6, np.int32))
    assert not result.found.any() and not result.late.any()
    assert np.isinf(result.rmse).all()
    np.testing.assert_array_equal(result.adversarials, IMAGES)


@pytest.mark.parametrize("row", rows(blockwise=True))
def test_padded_batches_give_what_one_batch_gives(row: Row) -> None:
    labels = predicted(curved, IMAGES)
    whole = row()(curved, IMAGES[:5], labels[:5])
    parts = row(batch_size=2)(curved, IMAGES[:5], labels[:5])
    assert parts.rmse.shape == parts.found.shape == parts.late.shape == (5,)
    # Another batch's matrix product rounds otherwise, and a walk may turn one visit later:
    # its last steps are below 1e-3. A row out of place differs by 1e-1.
    np.testing.assert_allclose(parts.rmse, whole.rmse, rtol=0.01)
    np.testing.assert_allclose(parts.adversarials, whole.adversarials, atol=0.01)


@pytest.mark.parametrize("row", ATTACKS)
def test_no_images(row: Row) -> None:
    result = row()(curved, IMAGES[:0], np.zeros(0, np.int32))
    assert result.adversarials.shape == (0, *SHAPE) and result.rmse.shape == (0,)


@dataclasses.dataclass(frozen=True)
class Confident(Misclassified):
    """Another class leads by kappa: what a user may write."""

    kappa: float

    def met(self, logits: tf.Tensor, classes: tf.Tensor) -> tf.Tensor:
        return self.margin(logits, classes) <= 0

    def margin(self, logits: tf.Tensor, classes: tf.Tensor) -> tf.Tensor:
        return Misclassified.margin(self, logits, classes) + self.kappa

    def rival_margin(self, logits: tf.Tensor, classes: tf.Tensor, rivals: tf.Tensor) -> tf.Tensor:
        return Misclassified.rival_margin(self, logits, classes, rivals) + self.kappa


@pytest.mark.parametrize(
    "attack",
    [
        *(pytest.param(row(), id=name) for name, row in TABLE.items()),
        Blend(rng.random((200, *SHAPE), np.float32), batch_size=6),
        Transfer(surrogate=curved, attack=LinearizedMargin(steps=24, batch_size=6)),
    ],
    ids=lambda attack: type(attack).__name__,
)
def test_every_attack_uses_the_parameter_of_a_criterion_that_a_user_made(attack: Attack) -> None:
    labels = predicted(curved, IMAGES)
    sizes: list[float] = []
    leads = np.zeros(6)
    for kappa in (0.0, 2.0):
        result = attack(curved, IMAGES, labels, Confident(kappa))
        assert result.found.all()
        logits = np.asarray(curved(result.adversarials), np.float64)
        others = np.where(np.arange(3) == labels[:, None], -np.inf, logits).max(axis=1)
        sizes.append(result.rmse.mean())
        if kappa:
            assert not (leads >= kappa).all(), "what a smaller kappa asked for does as well"
        leads = others - logits[np.arange(6), labels]
        # Float32 logits of a few units, judged by another program.
        assert (leads >= kappa - 1e-5).all()
    # Of a single image a weak attack may find a larger perturbation for the easier criterion.
    assert sizes[0] < sizes[1]


@pytest.mark.parametrize(
    "row",
    [
        # Of the attacks of fixed size, FGM and PGD stand for those that walk as they do.
        pytest.param(row, id=name, marks=[pytest.mark.slow] * (name in {"PGD-L∞", "MIM"}))
        for name, row in TABLE.items()
    ],
)
def test_equal_criteria_and_other_targets_compile_nothing_again(row: Row) -> None:
    labels = predicted(curved, IMAGES)
    traces = []

    def counted(images: tf.Tensor) -> tf.Tensor:
        traces.append(images.shape)
        return curved(images)

    def run(attack: Attack, shift: int) -> int:
        attack(counted, IMAGES, labels, Confident(0.5))
        attack(counted, IMAGES, labels, TargetClass((labels + shift) % 3))
        gc.collect()  # the next criteria must not need these
        return len(traces)

    attack = row()
    first = run(attack, 1)
    assert run(attack, 2) == first > 0
    if row.shares:
        assert run(row(steps=row.quick["steps"] + 1, line_steps=3), 2) == first


@pytest.mark.parametrize("row", rows(starts=True))
def test_never_worse_than_the_start(row: Row) -> None:
    labels = predicted(curved, IMAGES)
    nearest = LinearizedMargin(batch_size=6)(curved, IMAGES, labels)
    # Beyond the boundary, where rounding does not decide, and nearer than a few steps come.
    moved = IMAGES + np.float32(1.001) * (nearest.adversarials - IMAGES)
    start = AttackResult(moved, 1.001 * nearest.rmse, nearest.found, nearest.late)
    again = row()(curved, IMAGES, labels, start=start)
    assert again.found.all()
    # The start is a difference of float32 images, rounded to 6e-8 a pixel.
    assert (again.rmse <= start.rmse * (1 + 1e-6)).all()


@pytest.mark.parametrize("row", ATTACKS)
def test_attacks_are_told_apart_by_their_configurations(row: Row) -> None:
    attack, told = row(), row().config()
    assert json.loads(json.dumps(told, allow_nan=False)) == told
    assert told["class"] == type(attack).__name__
    assert {name: told[name] for name in ("bounds", "batch_size")} == {
        "bounds": None,
        "batch_size": 6,
    }
    assert attack == row() and hash(attack) == hash(row())
    attack(curved, IMAGES, predicted(curved, IMAGES))  # what it remembers is no hyper-parameter
    assert attack == row()
    for change in ({"bounds": (0.0, 1.0)}, {"line_steps": 3}, {"batch_size": 2}):
        assert attack != row(**change)


def test_late_is_first_found_in_the_second_half() -> None:
    # Images at known distances from the flat boundary; without momentum the walk goes straight
    # to it, and its first half of steps covers three quarters of the path.
    across = PLANE[:, 0] - PLANE[:, 1]
    across /= np.sqrt(np.mean(across**2))
    distances = np.array([0.01, 0.03, 0.07, 0.08, 0.09, 0.12], np.float32)
    images = (0.5 + distances[:, None] * across).reshape(6, *SHAPE)
    labels = np.zeros(6, np.int32)
    result = L2Min(steps=100, path=0.1, momentum=0.0, batch_size=6)(plane, images, labels)
    np.testing.assert_array_equal(result.found, [True, True, True, True, True, False])
    np.testing.assert_array_equal(result.late, [False, False, False, True, True, False])


ZEROS = np.zeros(6, np.int32)


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (IMAGES[0], [0], r"shape \(N, H, W, C\)"),
        (IMAGES, [0, 1], "expected 6 labels"),
        (IMAGES * 255, ZEROS, "divide 8-bit images by 255"),
        (IMAGES - 1, ZEROS, "pixels from 0 to 1, got some from -0.988"),
        (np.full_like(IMAGES, np.nan), ZEROS, "pixels from 0 to 1, got NaN"),
        (IMAGES, ZEROS - 1, "labels from 0, got -1"),
        (IMAGES, ZEROS + 0.5, "whole numbers, got float64"),
    ],
)
@pytest.mark.parametrize("row", ATTACKS)
def test_refuses(row: Row, images: np.ndarray, labels, message: str) -> None:
    with pytest.raises(InputError, match=message):
        row()(curved, images, labels)


def test_refuses_images_of_another_size_than_the_networks() -> None:
    network = keras.Sequential(
        [keras.Input((5, 4, 1)), keras.layers.Flatten(), keras.layers.Dense(3)]
    )
    LinearizedMargin(steps=1)(network, np.zeros((2, 5, 4, 1)), [0, 0])
    with pytest.raises(InputError, match=r"shape \(None, 5, 4, 1\), got \(2, 5, 3, 1\)"):
        LinearizedMargin(steps=1)(network, np.zeros((2, 5, 3, 1)), [0, 0])


AT_LEAST_ONE = "expected steps of at least 1 and line_steps not below 0"
BALL = "step_size above 0 and a change above 0 and below 1"


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        (L2Min, {"batch_size": 0}, "batch_size of at least 1, got 0"),
        (L2Min, {"bounds": (0.1, 1.0)}, r"expected bounds=\(0, 1\).*got \(0.1, 1.0\)"),
        (PGD, {"bounds": (0, 255)}, r"got \(0, 255\).* by input_range"),
        (L2Min, {"steps": 0}, AT_LEAST_ONE),
        (L2Min, {"path": 0.0}, "a path above 0"),
        (L2Min, {"momentum": 1.0}, "momentum from 0 to below 1"),
        (LinearizedMargin, {"steps": 0}, AT_LEAST_ONE),
        (LinearizedMargin, {"line_steps": -1}, AT_LEAST_ONE),
        (LinearizedMargin, {"rivals": 0}, "rivals of at least 1, got 0"),
        (DDN, {"steps": 0}, AT_LEAST_ONE),
        (DDN, {"radius": 0.0}, "expected a radius and a step_size above 0"),
        (DDN, {"change": 1.0}, BALL),
        (DDN, {"step_size": -1.0}, BALL),
        (DDN, {"line_steps": -1}, AT_LEAST_ONE),
        (FMN, {"steps": 0}, AT_LEAST_ONE),
        (FMN, {"step_size": 0.0}, BALL),
        (FMN, {"change": 0.0}, BALL),
        (FMN, {"line_steps": -1}, AT_LEAST_ONE),
        (PGD, {"steps": 0}, "steps and rounds of at least 1"),
        (PGD, {"rounds": 0}, "steps and rounds of at least 1"),
        (PGD, {"step_size": 0.0}, "a step_size above 0, got 0.0"),
        (FGM, {"norm": 1}, "norm 2 or numpy.inf, got 1"),
        (FGM, {"rounds": 0}, "steps and rounds of at least 1"),
        (MIM, {"decay": -1.0}, "a decay not below 0, got -1.0"),
        (MIM, {"step_size": -0.1}, "a step_size above 0, got -0.1"),
        (CarliniWagner, {"steps": 0}, AT_LEAST_ONE),
        (CarliniWagner, {"searches": 0}, "searches of at least 1, got 0"),
        (CarliniWagner, {"rate": 0.0}, "a rate and a constant above 0, got 0.0"),
        (CarliniWagner, {"constant": -1.0}, "a rate and a constant above 0, got 0.01, -1.0"),
        (SPSA, {"samples": 7}, "an even number of samples from 2, got 7"),
        (SPSA, {"delta": 0.0}, "delta and step_size above 0"),
        (SPSA, {"step_size": 0.0}, "delta and step_size above 0"),
        (SPSA, {"seed": -1}, "a seed not below 0, got 0.01, 0.25, -1"),
    ],
)
def test_refuses_hyper_parameters(kind: Callable[..., Attack], options: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        kind(**options)


def test_refuses_another_number_of_targets() -> None:
    with pytest.raises(InputError, match="expected 6 targets, one an image, got 2"):
        TABLE["LinearizedMargin"]()(curved, IMAGES, ZEROS, TargetClass([0, 1]))


def test_a_class_that_the_model_does_not_know_is_refused() -> None:
    network = keras.Sequential(
        [keras.Input((2, 2, 1)), keras.layers.Flatten(), keras.layers.Dense(3)]
    )
    images = np.full((2, 2, 2, 1), 0.5, np.float32)
    attack = LinearizedMargin(steps=1)
    with pytest.raises(InputError, match=r"labels below 3.*got 3"):
        attack(network, images, [0, 3])
    with pytest.raises(InputError, match=r"classes from 0 to 2, .* got 0 to 3"):
        attack(network, images, [0, 1], TargetClass([0, 3]))
