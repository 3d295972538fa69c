"""CleverHans' attacks behind our adapters: sizes of known networks, batches, starts, draws."""

import numpy as np
import pytest
import tensorflow as tf
from marks import quick

from tfrobust.attacks import (
    FGM,
    MIM,
    PGD,
    SPSA,
    Attack,
    AttackResult,
    CarliniWagner,
    LinearizedMargin,
)
from tfrobust.core.criteria import BelowChance, Misclassified, TargetClass
from tfrobust.core.criterion import Criterion

COMPILED = True  # XLA's zeros times infinity are NaN, TensorFlow's not always
QUICK: dict[str, Attack] = {
    "FGM-L2": FGM(norm=2, batch_size=5),
    "FGM-L∞": FGM(batch_size=5),
    "PGD-L2": PGD(steps=4, batch_size=5),
    "PGD-L∞": PGD(steps=4, norm=np.inf, batch_size=5),
    "MIM-L2": MIM(steps=4, norm=2, batch_size=5),
    "MIM-L∞": MIM(steps=4, batch_size=5),
    # CleverHans' loop is Python's: few of its steps show as much.
    "CW": CarliniWagner(steps=10, searches=3, rate=0.05, batch_size=5),
    "SPSA": SPSA(steps=10, samples=32, batch_size=5),
}
# All take their criteria through the same two adapters; one of each, and SPSA, with another
# criterion. A target is the other of two classes: test_attacks.py has three.
CASES = [(name, Misclassified()) for name in QUICK] + [
    (name, BelowChance()) for name in ("PGD-L2", "CW", "SPSA")
]


@pytest.mark.parametrize(
    ("name", "criterion"),
    CASES,
    ids=lambda case: case if isinstance(case, str) else type(case).__name__,
)
def test_never_below_the_truth(name: str, criterion: Criterion, known) -> None:
    result = QUICK[name](known.model, known.images, known.labels, criterion)
    assert result.found.all()
    ratio = result.rmse / known.distances
    assert (ratio > 1 - 1e-4).all(), "smaller than the smallest possible"


def test_l2_steps_along_a_flat_boundary_s_gradient_are_exact(linear) -> None:
    for attack in (QUICK["FGM-L2"], QUICK["PGD-L2"], QUICK["MIM-L2"]):
        result = attack(linear.model, linear.images, linear.labels)
        # Eight halvings of the line: 1/256 of it.
        np.testing.assert_allclose(result.rmse, linear.distances, rtol=1 / 128)


def test_l_inf_sizes_of_a_flat_boundary(linear) -> None:
    logits = np.asarray(linear.model(linear.images), np.float64)
    # The largest change of a pixel must be |margin| / ‖w‖₁, by Hölder's inequality.
    images = tf.constant(linear.images)
    with tf.GradientTape() as tape:
        tape.watch(images)
        gap = tf.reduce_sum(linear.model(images) @ [[1.0], [-1.0]])
    across = np.abs(tape.gradient(gap, images).numpy()).sum(axis=(1, 2, 3))
    closest = np.abs(logits[:, 0] - logits[:, 1]) / across
    for attack in (QUICK["FGM-L∞"], QUICK["PGD-L∞"], QUICK["MIM-L∞"]):
        result = attack(linear.model, linear.images, linear.labels)
        largest = np.abs(result.adversarials - linear.images).max(axis=(1, 2, 3))
        # Float32's images are 6e-8 apart; the last halvings as above.
        np.testing.assert_allclose(largest, closest, rtol=1 / 128)


@pytest.mark.parametrize(
    "name", quick(["FGM-L∞", "PGD-L∞", "MIM-L∞", "CW", "SPSA"], "PGD-L∞", "SPSA")
)
def test_batches_of_any_size_give_what_one_gives(name: str, quadratic, monkeypatch) -> None:
    model, images, labels, _ = quadratic
    # Draws are of an image's number: the same image again is to be found at the same size.
    rows = np.concatenate([np.arange(5), np.random.default_rng(0).integers(5, size=123)])
    attack = QUICK[name]
    monkeypatch.setattr(attack, "batch_size", 1)
    alone = attack(model, images, labels).rmse
    for block in (2, 3, 128):
        monkeypatch.setattr(attack, "batch_size", block)
        some = rows if block == 128 else rows[:5]
        together = attack(model, images[some], labels[some], numbers=some).rmse
        # Another block's sums round otherwise, and a bisection may turn at its last step.
        np.testing.assert_allclose(together, alone[some], rtol=0.02, err_msg=f"block of {block}")


@pytest.mark.parametrize("name", ["FGM-L∞", "PGD-L∞", "CW", "SPSA"])
def test_never_worse_than_the_start(name: str, quadratic) -> None:
    model, images, labels, _ = quadratic
    nearest = LinearizedMargin(steps=24, batch_size=5)(model, images, labels)
    # Beyond the boundary, where rounding decides, and nearer than these few steps come.
    start = AttackResult(
        images + np.float32(1.01) * (nearest.adversarials - images),
        1.01 * nearest.rmse,
        nearest.found,
        nearest.late,
    )
    alone = QUICK[name](model, images, labels)
    again = QUICK[name](model, images, labels, start=start)
    assert again.found.all() and (alone.rmse > start.rmse).any()
    # The start is a difference of float32 images, rounded to 6e-8 a pixel.
    assert (again.rmse <= start.rmse * (1 + 1e-6)).all()


@pytest.mark.parametrize("name", ["FGM-L∞", "PGD-L2", "MIM-L∞", "CW"])
def test_a_gradient_of_nan_finds_nothing(name: str, linear) -> None:
    def rooted(images: tf.Tensor) -> tf.Tensor:
        # √0 is 0, its gradient infinite, and 0 · ∞ is NaN.
        return linear.model(images) + tf.sqrt(tf.reduce_sum(0 * images, axis=(1, 2)))

    result = QUICK[name](rooted, linear.images, linear.labels)
    assert not result.found.any() and np.isinf(result.rmse).all()


def test_spsa_needs_no_gradient(linear) -> None:
    def coarse(images: tf.Tensor) -> tf.Tensor:
        steps = tf.stop_gradient(tf.round(images * 200) / 200)
        return linear.model(steps + 0 * images)

    labels = np.argmax(coarse(linear.images), -1).astype(np.int32)
    blind = QUICK["PGD-L2"](coarse, linear.images, labels)
    spsa = SPSA(steps=10, samples=32, batch_size=5)(coarse, linear.images, labels)
    assert not blind.found.any() and spsa.found.all()


def test_spsa_draws_by_image_and_seed(linear) -> None:
    model, images, labels, _ = linear
    attack = SPSA(steps=3, rounds=3, samples=8, batch_size=2)
    whole = attack(model, images, labels)
    # The fourth alone, under its own number.
    alone = attack(model, images[3:4], labels[3:4], numbers=[3])
    np.testing.assert_allclose(alone.adversarials[0], whole.adversarials[3], atol=1e-6)
    other = SPSA(steps=3, rounds=3, samples=8, seed=1, batch_size=2)(model, images, labels)
    assert np.abs(other.adversarials - whole.adversarials).max() > 1e-3


def test_spsa_tells_targets_of_one_image_apart() -> None:
    weights = np.random.default_rng(0).normal(size=(16, 3)).astype(np.float32)

    def three(images: tf.Tensor) -> tf.Tensor:
        return tf.reshape(images - 0.5, (-1, 16)) @ weights

    images = np.repeat(np.linspace(0.4, 0.6, 16, dtype=np.float32).reshape(1, 4, 4, 1), 2, axis=0)
    label = int(np.argmax(three(images)[0]))
    targets = np.delete(np.arange(3), label)
    attack = SPSA(steps=20, samples=32, batch_size=2)
    both = attack(three, images, [label, label], TargetClass(targets), numbers=[7, 7])
    assert both.found.all()
    np.testing.assert_array_equal(np.argmax(three(both.adversarials), -1), targets)
