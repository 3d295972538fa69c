"""One table over all attacks and goals, on networks small enough to know the answer."""

from collections.abc import Callable
from functools import partial

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
    BelowChance,
    CarliniWagner,
    Criterion,
    L2Min,
    LinearizedMargin,
    Misclassified,
    TargetClass,
)
from tfrobust.core.distances import Bounds
from tfrobust.errors import InputError

SHAPE = (4, 5, 1)
Kind = Callable[..., Attack]
PGD_INF = partial(PGD, norm=np.inf)
# Of the others batches of any size are tested in test_cleverhans.py.
BLOCKWISE = [L2Min, LinearizedMargin, PGD, DDN, FMN]
ATTACKS = [*BLOCKWISE, FGM, MIM, pytest.param(PGD_INF, id="PGD-L∞"), CarliniWagner, SPSA]
TARGET = 2
GOALS = [Misclassified(), BelowChance(), TargetClass(TARGET)]

rng = np.random.default_rng(0)
IN = rng.normal(size=(20, 12)).astype(np.float32)
OUT = rng.normal(size=(12, 3)).astype(np.float32)
PLANE = rng.normal(size=(20, 2)).astype(np.float32)
IMAGES = rng.random((6, *SHAPE), np.float32)


def curved(images: tf.Tensor) -> tf.Tensor:
    """Three classes, smooth boundaries."""
    return tf.tanh(tf.reshape(images - 0.5, (-1, 20)) @ IN / 2) @ OUT


def plane(images: tf.Tensor) -> tf.Tensor:
    """Two classes, one flat boundary: every goal has the same distance, in closed form."""
    return tf.reshape(images - 0.5, (-1, 20)) @ PLANE


def flat(images: tf.Tensor) -> tf.Tensor:
    """Class 0 whatever the image: no gradient, nothing to find."""
    return 0 * tf.reshape(images, (-1, 20))[:, :3] + tf.constant([3.0, 0.0, 0.0])


def predicted(model, images: np.ndarray) -> np.ndarray:
    return np.argmax(model(images), axis=-1).astype(np.int32)


def met(model, goal: Criterion, images: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Whether the goal is met, by its definition, in NumPy."""
    logits = np.asarray(model(images), np.float64)
    if isinstance(goal, Misclassified):
        return logits.argmax(-1) != labels
    if isinstance(goal, TargetClass):
        return logits.argmax(-1) == goal.targets
    shares = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    # XLA's last bit against NumPy's, on the boundary itself.
    return shares[np.arange(len(labels)), labels] <= 1 / logits.shape[-1] + 1e-6


def small(kind: Kind, **options) -> Attack:
    """The attack, quick enough for a test."""
    quick: dict[Kind, dict] = {
        L2Min: {"steps": 100, "path": 5.0},
        LinearizedMargin: {"steps": 24},
        PGD: {"steps": 5, "rounds": 10},
        DDN: {"steps": 60},
        FMN: {"steps": 60},
        FGM: {"rounds": 10},
        MIM: {"steps": 5, "rounds": 10},
        PGD_INF: {"steps": 5, "rounds": 10},
        CarliniWagner: {"steps": 10, "searches": 4, "rate": 0.1},
        SPSA: {"steps": 10, "rounds": 8, "samples": 32},
    }
    return kind(**{"batch_size": 6, **quick[kind], **options})


@pytest.mark.parametrize("goal", GOALS, ids=lambda goal: type(goal).__name__)
@pytest.mark.parametrize("kind", ATTACKS)
@pytest.mark.parametrize("bounds", [None, (0.0, 1.0)])
def test_adversarials_meet_the_goal_at_the_size_that_is_told(
    kind: Kind, goal: Criterion, bounds: Bounds | None
) -> None:
    labels = predicted(curved, IMAGES)
    result = small(kind, bounds=bounds)(curved, IMAGES, labels, goal)
    # Within the box a goal may be out of reach; on these images two thirds are in every attack's.
    assert result.found.all() if not bounds else result.found.sum() >= 4
    assert met(curved, goal, result.adversarials, labels)[result.found].all()
    difference = result.adversarials.astype(np.float64) - IMAGES
    sizes = np.sqrt(np.mean(difference**2, axis=(1, 2, 3)))
    # adversarial = image + delta, rounded to float32: 6e-8 a pixel.
    np.testing.assert_allclose(result.rmse[result.found], sizes[result.found], atol=2e-7)
    np.testing.assert_array_equal(result.adversarials[~result.found], IMAGES[~result.found])
    assert np.isinf(result.rmse[~result.found]).all()
    # What meets the goal already needs no change, and nothing else is of size 0.
    already = met(curved, goal, IMAGES, labels)
    np.testing.assert_array_equal(result.rmse == 0, already)
    if bounds:
        assert result.adversarials.min() >= -1e-6 and result.adversarials.max() <= 1 + 1e-6


@pytest.mark.parametrize("kind", ATTACKS)
def test_without_a_box_pixels_may_leave_it(kind: Kind) -> None:
    images = np.round(IMAGES)  # every pixel at an end: any change leaves on one side or other
    result = small(kind)(curved, images, predicted(curved, images))
    assert result.adversarials.min() < 0 and result.adversarials.max() > 1


@pytest.mark.parametrize("goal", ["Misclassified", "BelowChance", "TargetClass"])
@pytest.mark.parametrize(
    ("kind", "excess"),
    [
        # The walk crosses the boundary by steps that shrink to path/S² · 2 = 1e-3.
        (L2Min, 0.03),
        # One step solves a plane; 2 % beyond it, then eight halvings.
        (LinearizedMargin, 0.005),
        # Ten radii, the last ones a few percent apart.
        (PGD, 0.10),
        # Spheres lie 5 % apart, before the bisection.
        (DDN, 0.01),
        (FMN, 0.005),
    ],
)
def test_minimal_perturbations_of_a_linear_network(kind: Kind, excess: float, goal: str) -> None:
    labels = predicted(plane, IMAGES)
    goals = {
        "Misclassified": Misclassified(),
        "BelowChance": BelowChance(),
        "TargetClass": TargetClass(1 - labels),
    }
    result = small(kind)(plane, IMAGES, labels, goals[goal])
    logits = np.asarray(plane(IMAGES), np.float64)
    gap = np.abs(logits[:, 0] - logits[:, 1])
    closest = gap / np.linalg.norm(PLANE[:, 0] - PLANE[:, 1]) / np.sqrt(20)
    ratio = result.rmse / closest
    assert (ratio > 1 - 1e-4).all(), "smaller than the smallest possible"
    assert (ratio < 1 + excess).all(), ratio


@pytest.mark.parametrize("kind", ATTACKS)
def test_what_is_wrong_already_has_size_zero_and_stays_the_image(kind: Kind) -> None:
    labels = predicted(curved, IMAGES)
    labels[:3] = (labels[:3] + 1) % 3
    result = small(kind)(curved, IMAGES, labels)
    assert result.found.all() and not result.late[:3].any()
    np.testing.assert_array_equal(result.rmse[:3], 0)
    assert (result.rmse[3:] > 0).all()
    np.testing.assert_array_equal(result.adversarials[:3], IMAGES[:3])


@pytest.mark.parametrize("kind", ATTACKS)
def test_not_found_is_infinite_never_zero(kind: Kind) -> None:
    result = small(kind)(flat, IMAGES, np.zeros(6, np.int32))
    assert not result.found.any() and not result.late.any()
    assert np.isinf(result.rmse).all()
    np.testing.assert_array_equal(result.adversarials, IMAGES)


@pytest.mark.parametrize("kind", BLOCKWISE)
def test_padded_blocks_give_what_one_block_gives(kind: Kind) -> None:
    labels = predicted(curved, IMAGES)
    whole = small(kind)(curved, IMAGES[:5], labels[:5])
    parts = small(kind, batch_size=2)(curved, IMAGES[:5], labels[:5])
    assert parts.rmse.shape == parts.found.shape == parts.late.shape == (5,)
    # Another block's matrix product rounds otherwise, and a walk may turn one visit later:
    # its last steps are below 1e-3. A row out of place differs by 1e-1.
    np.testing.assert_allclose(parts.rmse, whole.rmse, rtol=0.01)
    np.testing.assert_allclose(parts.adversarials, whole.adversarials, atol=0.01)


@pytest.mark.parametrize("kind", ATTACKS)
def test_no_images(kind: Kind) -> None:
    result = small(kind)(curved, IMAGES[:0], np.zeros(0, np.int32))
    assert result.adversarials.shape == (0, *SHAPE) and result.rmse.shape == (0,)


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


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (IMAGES[0], [0], "shape"),
        (IMAGES, [0, 1], "labels"),
        (IMAGES * 255, np.zeros(6), "0 to 1"),
        (IMAGES - 1, np.zeros(6), "0 to 1"),
        (np.full_like(IMAGES, np.nan), np.zeros(6), "0 to 1"),
        (IMAGES, np.full(6, -1), "classes from 0"),
    ],
)
@pytest.mark.parametrize("kind", ATTACKS)
def test_refuses(kind: Kind, images: np.ndarray, labels, message: str) -> None:
    with pytest.raises(InputError, match=message):
        small(kind)(curved, images, labels)


def test_refuses_images_of_another_size_than_the_networks() -> None:
    network = keras.Sequential(
        [keras.Input((5, 4, 1)), keras.layers.Flatten(), keras.layers.Dense(3)]
    )
    LinearizedMargin(steps=1)(network, np.zeros((2, 5, 4, 1)), [0, 0])
    with pytest.raises(InputError, match=r"shape \(None, 5, 4, 1\), got \(2, 5, 3, 1\)"):
        LinearizedMargin(steps=1)(network, np.zeros((2, 5, 3, 1)), [0, 0])


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        (L2Min, {"steps": 0}),
        (L2Min, {"path": 0.0}),
        (L2Min, {"momentum": 1.0}),
        (L2Min, {"batch_size": 0}),
        (LinearizedMargin, {"steps": 0}),
        (LinearizedMargin, {"line_steps": -1}),
        (PGD, {"steps": 0}),
        (PGD, {"rounds": 0}),
    ],
)
def test_refuses_hyper_parameters(kind: Kind, options: dict) -> None:
    with pytest.raises(InputError, match="expected"):
        kind(**options)


def test_refuses_another_number_of_targets() -> None:
    with pytest.raises(InputError, match="expected 6 targets"):
        small(LinearizedMargin)(curved, IMAGES, np.zeros(6), TargetClass([0, 1]))


def test_a_label_that_the_model_does_not_know_is_refused() -> None:
    network = keras.Sequential(
        [keras.Input((2, 2, 1)), keras.layers.Flatten(), keras.layers.Dense(3)]
    )
    images = np.full((2, 2, 2, 1), 0.5, np.float32)
    with pytest.raises(InputError, match="classes from 0 to 2"):
        LinearizedMargin(steps=1)(network, images, [0, 3])
