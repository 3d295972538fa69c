"""Monotonicity: does the confidence follow adversarial explanations of growing sizes?"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from tfrobust.core.classifier import Model
from tfrobust.errors import InputError
from tfrobust.explanations.adversarial import at_sizes

SIZES = (0.025, 0.05, 0.1)
# Of confidences near 1, float32 tells no finer differences for sure.
ROUNDING = 1e-6


@dataclasses.dataclass(frozen=True)
class Monotonicity:
    """Whether the target's confidence follows g_explain+ and g_explain− of growing sizes.

    Args:
        rhos: float (S,), the sizes, RMSE in units of pixels from 0 to 1.
        surer: float32 (S + 1, N), confidence along g_explain+, the image itself first.
        less: float32 (S + 1, N), along g_explain−.
    """

    rhos: np.ndarray
    surer: np.ndarray
    less: np.ndarray

    @property
    def rises(self) -> np.ndarray:
        """bool (N,): g_explain+ of no size is below the image."""
        return (self.surer[1:] >= self.surer[0] - ROUNDING).all(axis=0)

    @property
    def falls(self) -> np.ndarray:
        """bool (N,): g_explain− of no size is above the image."""
        return (self.less[1:] <= self.less[0] + ROUNDING).all(axis=0)

    @property
    def monotonic(self) -> np.ndarray:
        """bool (N,): more is never the other way: up along +, down along −."""
        up, down = np.diff(self.surer, axis=0), np.diff(self.less, axis=0)
        return np.all((up >= -ROUNDING) & (down <= ROUNDING), axis=0)


def monotonicity(
    model: Model, images: Any, targets: Any = None, *, rhos: Sequence[float] = SIZES
) -> Monotonicity:
    """Walks g_explain+ and − at several sizes and notes the target's confidence.

    Args:
        model: what `as_classifier` takes; its gradient is used.
        images: float (N, H, W, C) in [0, 1].
        targets: int (N,) or a single int; None or −1 for the predicted class.
        rhos: the sizes, RMSE in units of pixels from 0 to 1, rising.

    Returns:
        The confidences.

    Raises:
        InputError: sizes that do not rise, or what `explain` refuses.
    """
    if list(rhos) != sorted(set(rhos)):
        raise InputError(f"expected sizes that rise, got {rhos}")
    curves = []
    for direction in (1, -1):
        found = at_sizes(model, images, targets, rhos=rhos, direction=direction)
        after = [one.confidence_after for one in found]
        curves.append(np.stack([found[0].confidence_before, *after]))
    return Monotonicity(np.asarray(rhos), *curves)
