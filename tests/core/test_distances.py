"""Distances against NumPy."""

import numpy as np
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tfrobust.core.distances import clip, norm, rmse, rmse64, unit

DELTA = np.random.default_rng(0).normal(size=(3, 2, 2, 1)).astype(np.float32)


def lengths(values: np.ndarray) -> np.ndarray:
    return np.linalg.norm(values.reshape(len(values), -1), axis=1)[:, None, None, None]


@settings(max_examples=50, deadline=None)
@given(arrays(np.float32, (2, 2, 3, 1), elements=st.floats(-(2.0**100), 2.0**100, width=32)))
def test_unit_vectors_of_any_size(vectors: np.ndarray) -> None:
    exact = vectors.astype(np.float64)
    size = lengths(exact)
    # XLA and TensorFlow take numbers below 1.2e-38 for 0: of such vectors either is right.
    told = (size == 0) | (size > 2e-38)
    expected = np.divide(exact, size, out=np.zeros_like(exact), where=size > 2e-38)
    np.testing.assert_allclose(np.where(told, unit(vectors), 0), expected, atol=1e-6)


def test_the_norm() -> None:
    np.testing.assert_allclose(norm(DELTA), lengths(DELTA).ravel(), rtol=1e-6)


def test_rmse_is_per_image() -> None:
    delta = np.stack([np.full((2, 3, 1), 0.1), np.zeros((2, 3, 1))]).astype(np.float32)
    delta[1, 0, 0] = 0.6
    np.testing.assert_allclose(rmse(delta), [0.1, np.sqrt(0.36 / 6)], rtol=1e-6)
    exact = rmse64(delta)
    assert exact.dtype == np.float64
    np.testing.assert_allclose(exact, [np.float32(0.1), np.float32(0.6) / np.sqrt(6)], rtol=1e-12)


def test_a_perturbation_is_cut_at_the_bounds() -> None:
    images = tf.constant([[[[0.25], [0.75]]]])
    delta = tf.constant([[[[-0.5], [0.125]]]])
    np.testing.assert_array_equal(clip(images, delta, (0.0, 1.0)), [[[[-0.25], [0.125]]]])
    assert clip(images, delta, None) is delta
