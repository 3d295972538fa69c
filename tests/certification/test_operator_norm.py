"""Bounds on operators against dense linear algebra: the largest singular value, unrolled."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from tfrobust.certification.operator_norm import operator_norm, unstrided

RNG = np.random.default_rng(0)


def unrolled(
    kernel: np.ndarray, strides: tuple[int, int], padding: str, dilation: int = 1
) -> np.ndarray:
    """The matrix of the convolution as TensorFlow computes it, for a small image."""
    shape = (9, 7, kernel.shape[2])
    size = int(np.prod(shape))
    unit = tf.constant(np.eye(size).reshape(size, *shape))
    found = tf.nn.conv2d(unit, kernel, strides, padding.upper(), dilations=dilation)
    return found.numpy().reshape(size, -1)


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize(
    ("size", "strides"),
    [((1, 1), (1, 1)), ((3, 3), (1, 1)), ((3, 3), (2, 2)), ((2, 2), (2, 2)), ((5, 3), (3, 2)),
     ((1, 3), (2, 1))],
)  # fmt: skip
@pytest.mark.parametrize("channels", [(2, 4), (4, 2)])
def test_it_is_never_below_the_largest_singular_value(
    size: tuple[int, int], strides: tuple[int, int], padding: str, channels: tuple[int, int]
) -> None:
    kernel = RNG.normal(0, 1, (*size, *channels))
    true = np.linalg.svd(unrolled(kernel, strides, padding), compute_uv=False)[0]
    bound = operator_norm(kernel, strides)
    assert true <= bound
    # An image's border and two steps of the iteration: near, not equal.
    assert bound < 1.6 * true
    if size == (1, 1) or size == strides:
        assert bound < 1.001 * true


def test_a_dilation_changes_nothing() -> None:
    kernel = RNG.normal(0, 1, (3, 3, 2, 2))
    true = np.linalg.svd(unrolled(kernel, (1, 1), "same", dilation=2), compute_uv=False)[0]
    assert 0.5 * operator_norm(kernel) < true <= operator_norm(kernel)


def test_an_orthogonal_matrix_has_the_norm_1() -> None:
    matrix = np.linalg.qr(RNG.normal(0, 1, (200, 60)))[0]
    assert 1 <= operator_norm(matrix[None, None]) < 1 + 1e-12
    rounded = operator_norm(matrix[None, None].astype(np.float32))
    assert abs(rounded - 1) < 1e-6


@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e30])
def test_a_scale_multiplies_it(scale: float) -> None:
    kernel = RNG.normal(0, 1, (3, 3, 2, 3))
    expected = scale * operator_norm(kernel)
    np.testing.assert_allclose(operator_norm(scale * kernel), expected, rtol=1e-9)


def test_nothing_has_the_norm_0() -> None:
    assert operator_norm(np.zeros((3, 3, 2, 2))) == 0.0


def test_it_holds_against_the_steepest_direction() -> None:
    """Where it is hardest to keep: the singular vector itself, of nearly equal singular values."""
    left, right = (np.linalg.qr(RNG.normal(0, 1, (30, 30)))[0] for _ in range(2))
    matrix = left @ np.diag(1 + 1e-9 * RNG.random(30)) @ right
    direction = np.linalg.svd(matrix)[2][0]
    assert np.linalg.norm(matrix @ direction) <= operator_norm(matrix[None, None].swapaxes(2, 3))


@settings(max_examples=50, deadline=None)
@given(
    height=st.integers(1, 4),
    width=st.integers(1, 4),
    rows=st.integers(1, 3),
    columns=st.integers(1, 3),
    seed=st.integers(0, 2**31),
)
def test_of_random_kernels(height: int, width: int, rows: int, columns: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    kernel = rng.standard_t(2, (height, width, 2, 2))
    true = np.linalg.svd(unrolled(kernel, (rows, columns), "same"), compute_uv=False)[0]
    assert true <= operator_norm(kernel, (rows, columns))


def test_cells_make_a_convolution_without_strides() -> None:
    kernel = RNG.normal(0, 1, (3, 5, 2, 4)).astype(np.float32)
    image = RNG.normal(0, 1, (1, 8, 9, 2)).astype(np.float32)
    strided = keras.ops.conv(image, kernel, (2, 3), "valid")
    cells = unstrided(kernel, (2, 3))
    assert cells.shape == (2, 2, 12, 4)
    of_cells = image.reshape(1, 4, 2, 3, 3, 2).transpose(0, 1, 3, 2, 4, 5).reshape(1, 4, 3, 12)
    found = keras.ops.conv(of_cells, cells.astype(np.float32), 1, "valid")
    # The cells reach one row and column beyond the kernel, where it is zero.
    strided = np.asarray(strided)[:, : found.shape[1], : found.shape[2]]
    np.testing.assert_allclose(found, strided, atol=1e-5)
