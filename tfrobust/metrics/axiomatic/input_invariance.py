"""Input invariance: a network that takes its pixels shifted says the same, and so should a map."""

import dataclasses
from typing import Any

import numpy as np
import tensorflow as tf

from tfrobust.core.classifier import Model
from tfrobust.core.config import Configured
from tfrobust.core.door import as_classifier
from tfrobust.errors import InputError
from tfrobust.explanations.base import Method
from tfrobust.explanations.targets import question


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class InputInvariance(Configured):
    """How much a map changes when pixels are shifted and the network takes the shift back.

    The images are first brought into [0, 1 − shift], so that shifted ones stay in [0, 1]. The
    method must explain networks without layers.

    Args:
        shift: what is added to every value, above 0 and below 1.

    Source: Kindermans et al., arXiv 1711.00867.
    """

    shift: float = 0.1

    def __post_init__(self) -> None:
        if not 0 < self.shift < 1:
            raise InputError(f"expected a shift above 0 and below 1, got {self.shift}")

    def __call__(
        self, model: Model, method: Method, images: Any, targets: Any = None
    ) -> np.ndarray:
        """Judges a method as a `MethodMeasure` does: the same arguments.

        Returns:
            float64 (N,), Σ|a′ − a| / Σ|a|: 0 is invariant. A map of zeros that changes has
            infinity.

        Raises:
            InputError: what the method refuses.
        """
        network, images, targets = question(model, images, targets)
        shift = np.float32(self.shift)
        lowered = (images * np.float32(1 - self.shift)).astype(np.float32)
        before = method(network, lowered, targets)

        def takes_back(pixels: tf.Tensor) -> tf.Tensor:
            return network(pixels - shift)

        shifted = np.clip(lowered + shift, 0, 1)
        after = method(as_classifier(takes_back, output="logits"), shifted, before.target)
        change = np.abs(after.map - before.map).sum(axis=(1, 2), dtype=np.float64)
        size = np.abs(before.map).sum(axis=(1, 2), dtype=np.float64)
        share = change / np.where(size > 0, size, 1)
        return np.where(change > 0, np.where(size > 0, share, np.inf), 0)
