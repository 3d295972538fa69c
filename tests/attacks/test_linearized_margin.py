"""Whose turn it is in LinearizedMargin, and one step of it by hand in NumPy."""

import numpy as np
import pytest
import tensorflow as tf
from scipy.optimize import LinearConstraint, minimize

from tfrobust.attacks.base import Block
from tfrobust.attacks.candidates import most_promising
from tfrobust.attacks.gradient_walk import Visit
from tfrobust.attacks.linearized_margin import LinearizedMargin, State
from tfrobust.attacks.minimum_norm import Best
from tfrobust.core.classifier import Classifier
from tfrobust.core.criteria import Misclassified

rng = np.random.default_rng(0)
IMAGES = rng.uniform(0.2, 0.8, (2, 2, 3, 1)).astype(np.float32)
DELTA, VELOCITY, MEAN, GRADIENT = 0.1 * rng.normal(size=(4, 2, 2, 3, 1)).astype(np.float32)
MARGIN = np.array([0.05, -0.02], np.float32)
INFINITE = tf.constant([np.inf, np.inf])


def test_the_most_promising() -> None:
    nan = np.nan
    distances = tf.constant([[1.0, 2.0, nan, 1.0], [1.1, 1.5, 3.0, 1.0], [0.9, 3.0, nan, 1.0]])
    visits = tf.constant([[9.0, 3.0, 3.0, 3.0], [3.0, 6.0, 3.0, 3.0], [9.0, 3.0, 3.0, 3.0]])
    # Plain distances, the first where all are equal. NaN is nobody's hope.
    np.testing.assert_array_equal(most_promising(distances, visits, 0.0), [2, 1, 1, 0])
    # With a doubt of 3: .75, .55, .675; and 1.0, 1.0, 1.5.
    np.testing.assert_array_equal(most_promising(distances, visits, 3.0), [1, 0, 1, 0])


def test_visits_go_to_the_nearest_plane() -> None:
    weights = rng.normal(size=(6, 4)).astype(np.float32)
    network = Classifier(lambda images: tf.reshape(images, (-1, 6)) @ weights, name="plane")
    images = rng.uniform(size=(20, 2, 3, 1)).astype(np.float32)
    logits = images.reshape(20, 6).astype(np.float64) @ weights
    classes = logits.argmax(axis=1)
    ranks = np.argsort(-logits, axis=1)[:, 1:]
    steep = np.linalg.norm(weights[:, classes][:, :, None] - weights[:, ranks], axis=0)
    lead = np.take_along_axis(logits, classes[:, None], 1) - np.take_along_axis(logits, ranks, 1)
    distances = (lead / steep).T
    block = Block(
        images=tf.constant(images),
        classes=tf.constant(classes, tf.int32),
        criterion=Misclassified(),
        start=tf.zeros_like(images),
        numbers=tf.range(20, dtype=tf.int64),
    )
    attack = LinearizedMargin(steps=30, rivals=3, batch_size=20)
    state, best = attack.init(network, block)
    state, best = attack.walk(network, block, state, best, range(attack.visits))
    visits = state.visits.numpy()
    np.testing.assert_array_equal(visits.sum(axis=0), 30)
    # The planes are known after one visit. With a doubt of 1 at most, 3 visits make 3/4 of it.
    nearest = distances.min(axis=0)
    far = distances > 1.4 * nearest
    assert far.any(axis=0).sum() > 10
    np.testing.assert_array_equal(visits[far], 3)
    np.testing.assert_array_equal(visits[:, far.sum(axis=0) == 2].max(axis=0), 24)


def step(bounds, best: tf.Tensor, margin: np.ndarray = MARGIN, kept: float = 0.0) -> State:
    here = Visit(
        images=tf.constant(IMAGES),
        bounds=bounds,
        value=tf.constant(margin),
        gradient=tf.constant(GRADIENT),
        met=tf.constant([False, False]),
        size=tf.constant([1.0, 1.0]),
        best=Best(tf.zeros_like(IMAGES), best),
    )
    state = State(
        tf.constant(DELTA),
        tf.constant(VELOCITY),
        tf.constant(MEAN),
        tf.constant([1.3, 1.1]),
        tf.constant([0, -1]),
        tf.constant([0.0, 0.0]),
        # The last planes hold nothing back.
        tf.constant([9.0, 9.0]),
    )
    scheduled = {"pull": tf.constant(0.5), "kept": tf.constant(kept)}
    return LinearizedMargin.advance(here, state, scheduled)


@pytest.mark.parametrize("kept", [0.0, 0.5])
def test_a_step_without_bounds(kept: float) -> None:
    found = step(None, tf.constant([np.inf, 0.1]), kept=kept)
    # The first has found nothing: it aims farther, and holds the less to planes that recede.
    steps = [(1.3 * 1.15, 0.5, 0.5 * (1.02 / 1.3) ** 2), (1.02, 0.1, 0.5)]
    for row, (overshoot, farthest, pull) in enumerate(steps):
        delta, velocity, mean, gradient = (
            values[row].ravel().astype(np.float64) for values in (DELTA, VELOCITY, MEAN, GRADIENT)
        )
        agreement = gradient @ mean / np.linalg.norm(gradient) / np.linalg.norm(mean)
        share = kept * np.clip(1 - agreement, 0, 1)
        plane = share * mean + (1 - share) * gradient
        steepness = plane @ plane
        reach = plane @ delta - MARGIN[row]
        nearest = reach / steepness * plane
        across = -MARGIN[row] / steepness * plane
        along = 0.5 * velocity + pull * (nearest - delta - across)
        along -= along @ plane / steepness * plane
        moved = delta + across + along + (overshoot - 1) * nearest
        # No step ends farther than RMSE 0.5, or than what is known.
        moved *= min(1, farthest / np.sqrt(np.mean(moved**2)))
        # Float32 against float64, numbers of at most 2.
        np.testing.assert_allclose(found.delta[row].numpy().ravel(), moved, atol=2e-6)
        np.testing.assert_allclose(found.velocity[row].numpy().ravel(), along, atol=2e-6)
        np.testing.assert_allclose(found.mean[row].numpy().ravel(), plane, atol=1e-7)
        np.testing.assert_allclose(found.distance[row], np.sqrt(np.mean(nearest**2)), rtol=1e-5)
        np.testing.assert_allclose(found.overshoot[row], overshoot, rtol=1e-6)
    np.testing.assert_array_equal(found.rivals, [0, -1])


@pytest.mark.parametrize(
    ("claimed", "goes_to"),
    [
        # This visit sees a plane across the first pixel, the last one saw one across the second.
        (0.15, [-0.26, -0.2]),
        # It claims a margin of 0.3 where one of 0.2 is seen, and is not believed.
        (0.3, [-0.26, 0.0]),
    ],
)
def test_a_step_at_a_fold(claimed: float, goes_to: list[float]) -> None:
    first, second = np.eye(6, dtype=np.float32)[:2].reshape(2, 1, 2, 3, 1)
    delta = np.array([-0.06, -0.05, 0.08, 0, 0, 0], np.float32)
    images = tf.fill((1, 2, 3, 1), 0.5)
    here = Visit(
        images=images,
        bounds=None,
        value=tf.constant([0.2]),
        gradient=tf.constant(first),
        met=tf.constant([False]),
        size=tf.constant([1.0]),
        best=Best(tf.zeros_like(images), tf.constant([np.inf])),
    )
    state = State.at(tf.constant(delta.reshape(1, 2, 3, 1)), tf.constant([-1]))
    state = state._replace(mean=tf.constant(second), reach=tf.constant([-0.05 - claimed]))
    scheduled = {"pull": tf.constant(0.5), "kept": tf.constant(0.0)}
    found = LinearizedMargin.advance(here, state, scheduled)
    # Half of the way along the plane, at a fold 1.4 times as much.
    share = 0.7 if goes_to[1] else 0.5
    along = share * (np.array([*goes_to, 0, 0, 0, 0]) - delta) * [0, 1, 1, 1, 1, 1]
    np.testing.assert_allclose(found.velocity.numpy().ravel(), along, atol=1e-6)
    # Candidates are compared by their planes, not by edges.
    np.testing.assert_allclose(found.distance, 0.26 / np.sqrt(6), rtol=1e-5)


@pytest.mark.parametrize(
    ("steepest", "left", "steps", "within"),
    # The least scale of a value, what is left of the margin's parts, gradients, and how near the
    # smallest perturbation they come. With a pull that does not fade they end nowhere, nowhere, and
    # at 1.52. A walk depends on how it is rounded: with 60 gradients, scales that are 2 % larger or
    # smaller end between 1.005 and 1.07.
    [(0.005, 0.1, 24, 1.2), (0.005, 0.1, 60, 1.1), (0.01, 0.5, 24, 1.1)],
)
def test_planes_that_recede(steepest: float, left: float, steps: int, within: float) -> None:
    # Each value's part of the margin falls ever more slowly, so each plane claims to be nearer than
    # it is, and the steep parts hide the others. A full pull meets the criterion late, or never.
    scales = np.geomspace(steepest, 0.3, 12)

    def margin(moved: tf.Tensor) -> tf.Tensor:
        return tf.reduce_sum(tf.exp(-moved / scales.astype(np.float32)), axis=-1) - left

    def logits(images: tf.Tensor) -> tf.Tensor:
        first = margin(tf.reshape(images, (-1, 12)) - 0.5)
        return tf.stack([first, tf.zeros_like(first)], axis=-1)

    smallest = minimize(
        lambda delta: delta @ delta,
        np.full(12, 0.1),
        jac=lambda delta: 2 * delta,
        constraints={"type": "ineq", "fun": lambda delta: left - np.exp(-delta / scales).sum()},
        method="SLSQP",
        options={"maxiter": 1000},
        tol=1e-12,
    )
    assert smallest.success
    image = np.full((1, 2, 3, 2), 0.5, np.float32)
    attack = LinearizedMargin(steps=steps, rivals=1)
    found = attack(Classifier(logits, name="receding"), image, np.array([0]))
    assert found.rmse[0] <= within * np.sqrt(np.mean(smallest.x**2))


def test_the_nearest_point_of_the_plane_within_bounds() -> None:
    # So far away that some pixels end at a bound.
    margin = np.array([0.15, -0.15], np.float32)
    found = step((0.0, 1.0), INFINITE, margin)
    bound = 0
    for row, image in enumerate(IMAGES):
        plane = GRADIENT[row].ravel().astype(np.float64)
        reach = plane @ DELTA[row].ravel() - margin[row]
        best = minimize(
            lambda delta: delta @ delta,
            np.zeros(image.size),
            jac=lambda delta: 2 * delta,
            bounds=[(-pixel, 1 - pixel) for pixel in image.ravel().astype(np.float64)],
            constraints=LinearConstraint(plane, reach, reach),
            method="SLSQP",
            tol=1e-12,
        )
        assert best.success
        bound += np.sum((image.ravel() + best.x < 1e-6) | (image.ravel() + best.x > 1 - 1e-6))
        np.testing.assert_allclose(found.distance[row], np.sqrt(np.mean(best.x**2)), rtol=1e-3)
    assert bound, "no pixel is at a bound: nothing was tested"
