"""How far a tensor inside a network can move when the image moves, and by rounding."""

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from tfrobust.certification.operator_norm import operator_norm
from tfrobust.certification.rounding import UNIT_32, gamma

Kernel = np.ndarray
Strides = tuple[int, int]


@dataclasses.dataclass(frozen=True)
class Growth:
    """What is known of a tensor inside a network, for each of N images and all images near it.

    Args:
        lipschitz: two images have tensors no farther apart than this times their distance (L2).
        norm: float64 (N,), at or above the tensor's L2 norm, if nothing were rounded.
        error: float64 (N,), at or above the L2 norm of what rounding to float32 changes in it.
    """

    lipschitz: float
    norm: np.ndarray
    error: np.ndarray

    def linear(self, norm: float, absolute: float, terms: int, offset: float = 0.0) -> "Growth":
        """Through a linear map, after which something is added.

        Args:
            norm: at or above the map's norm.
            absolute: at or above the norm of the map with the absolute values of its weights.
            terms: how often what becomes one of its values is rounded.
            offset: the L2 norm of what is added.
        """
        rounded = gamma(terms, UNIT_32)
        return Growth(
            norm * self.lipschitz,
            norm * self.norm + offset,
            norm * self.error + rounded * (absolute * (self.norm + self.error) + offset),
        )

    def convolution(self, kernel: Kernel, strides: Strides = (1, 1), offset: float = 0) -> "Growth":
        """Through a convolution (height, width, C, D), and the bias that is added."""
        terms = math.prod(kernel.shape[:3]) + 1
        norm, absolute = operator_norm(kernel, strides), operator_norm(np.abs(kernel), strides)
        return self.linear(norm, absolute, terms, offset)

    def within(self, norm: np.ndarray, reach: np.ndarray) -> "Growth":
        """The same, where the tensor's norm was seen at the images, and `reach` is how far off."""
        return dataclasses.replace(self, norm=np.minimum(self.norm, norm + self.lipschitz * reach))

    def scaled(self, slope: float) -> "Growth":
        """Through what computes without rounding, and lengthens distances by at most `slope`."""
        return Growth(slope * self.lipschitz, slope * self.norm, slope * self.error)


def total(parts: Sequence[Growth]) -> Growth:
    """Of a sum of tensors, which is rounded for each of them."""
    whole = Growth(
        sum(part.lipschitz for part in parts),
        np.sum([part.norm for part in parts], axis=0),
        np.sum([part.error for part in parts], axis=0),
    )
    return whole.linear(1.0, 1.0, len(parts))


def beside(parts: Sequence[Growth]) -> Growth:
    """Of tensors side by side, or of the largest or smallest of their values."""
    return Growth(
        math.hypot(*(part.lipschitz for part in parts)),
        np.linalg.norm([part.norm for part in parts], axis=0),
        np.linalg.norm([part.error for part in parts], axis=0),
    )
