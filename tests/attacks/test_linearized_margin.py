"""LinearizedMargin's plan, and one step of it by hand in NumPy."""

import numpy as np
import pytest
import tensorflow as tf
from scipy.optimize import LinearConstraint, minimize

from tfrobust.attacks.gradient_walk import Visit
from tfrobust.attacks.linearized_margin import LinearizedMargin, State, rounds
from tfrobust.attacks.minimum_norm import Best

rng = np.random.default_rng(0)
IMAGES = rng.uniform(0.2, 0.8, (2, 2, 3, 1)).astype(np.float32)
DELTA, VELOCITY, MEAN, GRADIENT = 0.1 * rng.normal(size=(4, 2, 2, 3, 1)).astype(np.float32)
MARGIN = np.array([0.05, -0.02], np.float32)
INFINITE = tf.constant([np.inf, np.inf])


@pytest.mark.parametrize(
    ("steps", "candidates", "plan"),
    [
        # Six candidates take 3 of 20 gradients each, √6 of them 10 of 20, the last what is left.
        (60, 6, [(6, 3), (2, 10), (1, 22)]),
        (200, 9, [(9, 7), (3, 22), (1, 71)]),
        (1, 1, [(1, 1), (1, 1), (1, 1)]),
    ],
)
def test_the_plan(steps: int, candidates: int, plan: list[tuple[int, int]]) -> None:
    assert rounds(steps, candidates) == plan


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
        tf.constant([1.02, 1.1]),
        tf.constant([0, -1]),
        tf.constant([0.0, 0.0]),
    )
    scheduled = {"pull": tf.constant(0.5), "kept": tf.constant(kept)}
    return LinearizedMargin.advance(here, state, scheduled)


@pytest.mark.parametrize("kept", [0.0, 0.5])
def test_a_step_without_bounds(kept: float) -> None:
    found = step(None, tf.constant([np.inf, 0.1]), kept=kept)
    for row, (overshoot, farthest) in enumerate([(1.02 * 1.15, 0.5), (1.02, 0.1)]):
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
        along = 0.5 * velocity + 0.5 * (nearest - delta - across)
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
