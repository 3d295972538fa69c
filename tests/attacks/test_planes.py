"""Nearest points of planes and of their edges, against a solver of quadratic programs."""

import numpy as np
import tensorflow as tf
from scipy.optimize import LinearConstraint, minimize

from tfrobust.attacks.planes import FOLDED, nearest_edge

SHAPE = (2, 3, 1)


def test_the_nearest_edge_of_two_planes() -> None:
    rng = np.random.default_rng(3)
    normals = rng.normal(size=(2, 60, 6)).astype(np.float32)
    reaches = rng.uniform(-1, 0.3, size=(2, 60)).astype(np.float32)
    normal, other = normals.reshape(2, 60, *SHAPE)
    nearest = normals[0] * (reaches[0] / np.sum(normals[0] ** 2, axis=1))[:, None]
    edge, folded = nearest_edge(
        tf.constant(normal),
        tf.constant(reaches[0]),
        tf.constant(other),
        tf.constant(reaches[1]),
        tf.constant(nearest.reshape(60, *SHAPE)),
    )
    sure = 0
    for row in range(60):
        planes = normals[:, row].astype(np.float64)
        best = minimize(
            lambda delta: delta @ delta / 2,
            np.zeros(6),
            jac=lambda delta: delta,
            constraints=LinearConstraint(planes, -np.inf, reaches[:, row]),
            method="SLSQP",
            tol=1e-14,
        )
        assert best.success
        # Each plane holds the smallest δ back by so much.
        pushes = np.linalg.lstsq(planes.T, -best.x, rcond=None)[0]
        cosine = planes[0] @ planes[1] / np.prod(np.linalg.norm(planes, axis=1))
        if abs(cosine - FOLDED) < 0.01 or (np.abs(pushes) < 1e-4).any():
            continue  # too near to the one or the other for float32
        sure += 1
        active = np.abs(planes @ best.x - reaches[:, row]) < 1e-6
        held = reaches[0, row] < 0 and active.all() and (pushes > 0).all()
        assert bool(folded[row]) == (held and cosine < FOLDED)
        if folded[row]:
            # The planes are nowhere nearly parallel: float32's rounding, a few times.
            np.testing.assert_allclose(edge[row].numpy().ravel(), best.x, atol=5e-5)
    found = folded.numpy().sum()
    assert sure > 20 and 5 < found < 55, "one of the two answers was hardly tested"


def test_no_edge_without_a_second_plane() -> None:
    ones = tf.ones((1, *SHAPE))
    _, folded = nearest_edge(
        ones, tf.constant([-1.0]), tf.zeros_like(ones), tf.constant([0.0]), -ones / 6
    )
    assert not folded.numpy().any()
