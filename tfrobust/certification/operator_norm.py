"""How much a convolution or a matrix can lengthen what it is given: bounds that hold, in float64.

Power iteration comes near the largest singular value from below, so it bounds nothing. Here the
Gram iteration does, which comes from above: with G₁ = K*K and Gₙ₊₁ = Gₙ*Gₙ, every Gₙ has the norm
‖K‖ to the power 2ⁿ, and no operator's norm is above its largest sum of absolute values in a row.
For a kernel that is orthogonal up to rounding the first step is tight already. The errors of
float64 are added.

Source: Delattre et al., arXiv 2305.16173, the Gram iteration; Prach and Lampert, arXiv 2208.03160,
its first step for convolutions.
"""

import math

import numpy as np

from tfrobust.certification.rounding import UNIT_64, gamma

# A convolution's Gram kernel is nearly twice as wide after each step; a matrix's stays as it is.
MATRIX_STEPS, CONVOLUTION_STEPS = 12, 2
# Steps end where one brings the bound no nearer than by this share.
ENOUGH = 1e-4


def operator_norm(kernel: np.ndarray, strides: tuple[int, int] = (1, 1)) -> float:
    """A bound on the L2 norm of a convolution's output over that of its input.

    It holds for images of every size, and for padding with zeros and without: such an operator is
    a part of the one on an endless image.

    Args:
        kernel: (height, width, C, D), as Keras has it; a matrix is (1, 1, C, D).
        strides: of the convolution, along height and width. A dilation changes nothing.

    Returns:
        A number at or above the largest singular value of the unrolled operator.
    """
    taps = unstrided(np.asarray(kernel, np.float64), strides)
    if not np.any(taps):
        return 0.0
    if taps.shape[2] < taps.shape[3]:
        taps = np.flip(taps, (0, 1)).swapaxes(2, 3)  # the adjoint, which has the same norm
    steps = MATRIX_STEPS if taps.shape[:2] == (1, 1) else CONVOLUTION_STEPS
    exponents: list[int] = []
    errors: list[float] = []
    bound = math.inf
    for _ in range(steps):
        # Scaled by a power of 2, which is exact, so that powers of it stay finite.
        exponents.append(math.frexp(_row_sum(taps))[1])
        taps = np.ldexp(taps, -exponents[-1])
        terms = taps.shape[0] * taps.shape[1] * taps.shape[2]
        errors.append(gamma(terms + 8, UNIT_64) * _column_sum(taps) * _row_sum(taps))
        taps = _gram(taps)
        before, bound = bound, min(bound, _rooted(_row_sum(taps), exponents, errors))
        if bound > (1 - ENOUGH) * before:
            break
    return bound


def _rooted(bound: float, exponents: list[int], errors: list[float]) -> float:
    """A bound on the first kernel's norm, from one on that of its last Gram kernel."""
    for exponent, error in zip(reversed(exponents), reversed(errors), strict=True):
        bound = math.ldexp(_up(math.sqrt(_up(bound + error))), exponent)
    return bound


def unstrided(kernel: np.ndarray, strides: tuple[int, int]) -> np.ndarray:
    """The kernel of the same convolution without strides, on an image made of its cells.

    A cell has stride × stride pixels, whose channels stand one behind the other.

    Args:
        kernel: (height, width, C, D).
        strides: along height and width.

    Returns:
        (⌈height/stride⌉, ⌈width/stride⌉, stride·stride·C, D).
    """
    height, width, channels, filters = kernel.shape
    rows, columns = strides
    kernel = np.pad(kernel, ((0, -height % rows), (0, -width % columns), (0, 0), (0, 0)))
    high, wide = kernel.shape[0] // rows, kernel.shape[1] // columns
    cells = kernel.reshape(high, rows, wide, columns, channels, filters)
    return cells.transpose(0, 2, 1, 3, 4, 5).reshape(high, wide, -1, filters)


def _gram(taps: np.ndarray) -> np.ndarray:
    """The kernel of a convolution followed by its adjoint: (2h − 1, 2w − 1, D, D)."""
    height, width, _, filters = taps.shape
    gram = np.zeros((2 * height - 1, 2 * width - 1, filters, filters))
    for row in range(height):
        for column in range(width):
            # Every tap meets this one at its distance from it.
            part = np.tensordot(taps, taps[row, column], axes=([2], [0]))
            top, left = height - 1 - row, width - 1 - column
            gram[top : top + height, left : left + width] += part
    return gram


def _row_sum(taps: np.ndarray) -> float:
    """The largest sum of absolute values that make one output."""
    return _summed(taps, (0, 1, 2))


def _column_sum(taps: np.ndarray) -> float:
    """The largest sum of absolute values that one input goes to."""
    return _summed(taps, (0, 1, 3))


def _summed(taps: np.ndarray, axes: tuple[int, ...]) -> float:
    terms = math.prod(taps.shape[axis] for axis in axes)
    return float(np.abs(taps).sum(axis=axes).max()) * (1 + 2 * gamma(terms + 8, UNIT_64))


def _up(value: float) -> float:
    """The next number above: the true result of one rounded operation is not larger."""
    return math.nextafter(value, math.inf)
