"""One table of all attacks, on networks small enough to know the answer."""

import dataclasses
import functools
import gc
import json
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import keras
import numpy as np
import pytest
import tensorflow as tf
from marks import quick

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

COMPILED = True  # what XLA makes of every attack is held here
SHAPE = (4, 5, 1)
CRITERIA = [Misclassified(), BelowChance(), TargetClass(2)]

rng = np.random.default_rng(0)
IN = rng.normal(size=(20, 12)).astype(np.float32)
OUT = rng.normal(size=(12, 3)).astype(np.float32)
PLANE = rng.normal(size=(20, 2)).astype(np.float32)
IMAGES = rng.random((6, *SHAPE), np.float32)


class Network(tf.Module):
    """A network of three classes, whose weights a test chooses.

    There is one object of it, because an attack's programs are compiled for each model: seconds
    that most tests would spend again.

    Attributes:
        traces: how often it became part of a program.
    """

    def __init__(self) -> None:
        self.traces = 0
        self.smooth, self.across = tf.Variable(0 * OUT), tf.Variable(0 * IN[:, :3])
        self.bias = tf.Variable(tf.zeros(3))

    def __call__(self, images: tf.Tensor) -> tf.Tensor:
        self.traces += not tf.executing_eagerly()
        pixels = tf.reshape(images - 0.5, (-1, 20))
        return tf.tanh(pixels @ IN / 2) @ self.smooth + pixels @ self.across + self.bias

    def become(
        self,
        smooth: np.ndarray = 0 * OUT,
        across: np.ndarray = 0 * IN[:, :3],
        bias: Any = (0, 0, 0),
    ) -> "Network":
        self.smooth.assign(smooth)
        self.across.assign(across)
        self.bias.assign(bias)
        return self


NETWORK = Network()


@pytest.fixture
def curved() -> Network:
    """Smooth boundaries."""
    return NETWORK.become(smooth=OUT)


@pytest.fixture
def plane() -> Network:
    """One flat boundary, between the first two classes: the third's share is below 1e-30."""
    return NETWORK.become(across=np.pad(PLANE, ((0, 0), (0, 1))), bias=(0, 0, -100))


@pytest.fixture
def flat() -> Network:
    """Class 0 whatever the image: no gradient, nothing to find."""
    return NETWORK.become(bias=(3, 0, 0))


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
        return made(self.kind, **{"batch_size": 6, **self.quick, **options})


@functools.cache  # those of CleverHans compile a program for each object
def made(kind: Callable[..., Attack], **options: Any) -> Attack:
    return kind(**options)


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
    "Square": Row(Square, {"steps": 100}, blockwise=True, shares=False),
    "SPSA": Row(SPSA, {"steps": 10, "rounds": 8, "samples": 32}, shares=False),
}
ATTACKS = [pytest.param(row, id=name) for name, row in TABLE.items()]
LIKE = {"PGD-L∞", "MIM"}  # take their criteria as PGD and FGM do


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


# Each compiles another program, and bounds and criteria do not know each other.
@pytest.mark.parametrize(
    ("row", "bounds", "criterion"),
    [
        pytest.param(
            row,
            bounds,
            criterion,
            id=f"{name}-{bounds}-{criterion}",
            marks=[pytest.mark.slow] * (number > 0 and (bool(bounds) or name in LIKE)),
        )
        for name, row in TABLE.items()
        for bounds in (None, (0.0, 1.0))
        for number, criterion in enumerate(CRITERIA)
    ],
)
def test_adversarials_meet_the_criterion_at_the_size_that_is_told(
    row: Row, criterion: Criterion, bounds: Bounds | None, curved: Network
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
def test_without_bounds_pixels_may_leave_them(row: Row, curved: Network) -> None:
    images = np.round(IMAGES)  # every pixel at an end: any change leaves on one side or other
    result = row()(curved, images, predicted(curved, images))
    assert result.adversarials.min() < 0 and result.adversarials.max() > 1


@pytest.mark.parametrize("kind", ["Misclassified", "BelowChance", "TargetClass"])
@pytest.mark.parametrize("row", [one for one in ATTACKS if one.values[0].excess])
def test_minimal_perturbations_of_a_linear_network(row: Row, kind: str, plane: Network) -> None:
    labels = predicted(plane, IMAGES)
    criteria = {
        "Misclassified": Misclassified(),
        "BelowChance": BelowChance(),
        "TargetClass": TargetClass(1 - labels),
    }
    result = row()(plane, IMAGES, labels, criteria[kind])
    logits = np.asarray(plane(IMAGES), np.float64)
    gap = np.abs(logits[:, 0] - logits[:, 1])
    if kind == "BelowChance":  # of three classes: 1/(1 + 2) is where the other leads by log 2
        gap += np.log(2)
    closest = gap / np.linalg.norm(PLANE[:, 0] - PLANE[:, 1]) / np.sqrt(20)
    ratio = result.rmse / closest
    assert (ratio > 1 - 1e-4).all(), "smaller than the smallest possible"
    assert (ratio < 1 + row.excess).all(), ratio


@pytest.mark.parametrize("row", ATTACKS)
def test_what_is_wrong_already_has_size_zero_and_stays_the_image(row: Row, curved: Network) -> None:
    labels = predicted(curved, IMAGES)
    labels[:3] = (labels[:3] + 1) % 3
    result = row()(curved, IMAGES, labels)
    assert result.found.all() and not result.late[:3].any()
    np.testing.assert_array_equal(result.rmse[:3], 0)
    assert (result.rmse[3:] > 0).all()
    np.testing.assert_array_equal(result.adversarials[:3], IMAGES[:3])


@pytest.mark.parametrize("row", ATTACKS)
def test_not_found_is_infinite_never_zero(row: Row, flat: Network) -> None:
    result = row()(flat, IMAGES, np.zeros(6, np.int32))
    assert not result.found.any() and not result.late.any()
    assert np.isinf(result.rmse).all()
    np.testing.assert_array_equal(result.adversarials, IMAGES)


@pytest.mark.parametrize("row", rows(blockwise=True))
def test_padded_batches_give_what_one_batch_gives(row: Row, curved: Network) -> None:
    labels = predicted(curved, IMAGES)
    whole = row()(curved, IMAGES[:5], labels[:5])
    parts = row(batch_size=2)(curved, IMAGES[:5], labels[:5])
    assert parts.rmse.shape == parts.found.shape == parts.late.shape == (5,)
    # Another batch's matrix product rounds otherwise, and a walk may turn one visit later:
    # its last steps are below 1e-3. A row out of place differs by 1e-1.
    np.testing.assert_allclose(parts.rmse, whole.rmse, rtol=0.01)
    np.testing.assert_allclose(parts.adversarials, whole.adversarials, atol=0.01)


@pytest.mark.parametrize("row", ATTACKS)
def test_no_images(row: Row, curved: Network) -> None:
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


ALL = {
    **{name: row() for name, row in TABLE.items()},
    "Blend": Blend(rng.random((200, *SHAPE), np.float32), batch_size=6),
    "Transfer": Transfer(surrogate=NETWORK, attack=LinearizedMargin(steps=24, batch_size=6)),
}


@pytest.mark.parametrize("name", quick(ALL, *set(ALL) - LIKE))
def test_every_attack_uses_the_parameter_of_a_criterion_that_a_user_made(
    name: str, curved: Network
) -> None:
    labels = predicted(curved, IMAGES)
    easier = ALL[name](curved, IMAGES, labels)
    harder = ALL[name](curved, IMAGES, labels, Confident(2.0))
    assert easier.found.all() and harder.found.all()
    assert not (lead(curved, easier, labels) >= 2).all(), "the easier one's do as well"
    # Float32 logits of a few units, judged by another program.
    assert (lead(curved, harder, labels) >= 2 - 1e-5).all()
    # Of a single image a weak attack may find a larger perturbation for the easier criterion.
    assert easier.rmse.mean() < harder.rmse.mean()


def lead(model: Network, result: AttackResult, labels: np.ndarray) -> np.ndarray:
    """By how much another class leads, in logits."""
    logits = np.asarray(model(result.adversarials), np.float64)
    others = np.where(np.arange(3) == labels[:, None], -np.inf, logits).max(axis=1)
    return others - logits[np.arange(6), labels]


# A walk on gradients, an attack of fixed size, and one without gradients speak for the others.
@pytest.mark.parametrize("name", quick(TABLE, "DDN", "FGM", "Square"))
def test_criteria_of_one_class_do_not_share_programs(name: str, curved: Network) -> None:
    labels = predicted(curved, IMAGES)
    for kappa in (2.0, 1.0):
        result = ALL[name](curved, IMAGES, labels, Confident(kappa))
        assert (lead(curved, result, labels) >= kappa - 1e-5).all()
    assert not (lead(curved, result, labels) >= 2).all()


@pytest.fixture
def young() -> Iterator[None]:
    """Whole collections look at what is new alone: at all graphs so far takes a second."""
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.mark.usefixtures("young")
@pytest.mark.parametrize("name", quick(TABLE, *set(TABLE) - LIKE))
def test_equal_criteria_and_other_targets_compile_nothing_again(name: str, curved: Network) -> None:
    row = TABLE[name]
    labels = predicted(curved, IMAGES)

    def run(attack: Attack, shift: int) -> int:
        attack(curved, IMAGES, labels, Confident(2.0))
        attack(curved, IMAGES, labels, TargetClass((labels + shift) % 3))
        gc.collect()  # the next criteria must not need these
        return curved.traces

    first = run(row(), 1)
    assert run(row(), 2) == first > 0
    if row.shares:
        assert run(row(steps=row.quick["steps"] + 1, line_steps=3), 2) == first


@pytest.mark.parametrize("row", rows(starts=True))
def test_never_worse_than_the_start(row: Row, curved: Network) -> None:
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
def test_attacks_are_told_apart_by_their_configurations(row: Row, curved: Network) -> None:
    attack, told = row(), row().config()
    same = made.__wrapped__(row.kind, **{"batch_size": 6, **row.quick})
    assert json.loads(json.dumps(told, allow_nan=False)) == told
    assert told["class"] == type(attack).__name__
    assert {name: told[name] for name in ("bounds", "batch_size")} == {
        "bounds": None,
        "batch_size": 6,
    }
    assert attack is not same and attack == same and hash(attack) == hash(same)
    attack(curved, IMAGES, predicted(curved, IMAGES))  # what it remembers is no hyper-parameter
    assert attack == same
    for change in ({"bounds": (0.0, 1.0)}, {"line_steps": 3}, {"batch_size": 2}):
        assert attack != row(**change)


def test_late_is_first_found_in_the_second_half(plane: Network) -> None:
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
def test_refuses(row: Row, images: np.ndarray, labels, message: str, curved: Network) -> None:
    with pytest.raises(InputError, match=message):
        row()(curved, images, labels)


def test_refuses_images_of_another_size_than_the_networks() -> None:
    network = keras.Sequential(
        [keras.Input((5, 4, 1)), keras.layers.Flatten(), keras.layers.Dense(3)]
    )
    LinearizedMargin(steps=1)(network, np.zeros((2, 5, 4, 1)), [0, 0])
    with pytest.raises(InputError, match=r"shape \(None, 5, 4, 1\), got \(2, 5, 3, 1\)"):
        LinearizedMargin(steps=1)(network, np.zeros((2, 5, 3, 1)), [0, 0])


def test_refuses_another_number_of_targets(curved: Network) -> None:
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
