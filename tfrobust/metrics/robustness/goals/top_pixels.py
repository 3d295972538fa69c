"""Top-k: the most important pixels shall matter no more."""

import dataclasses
from typing import ClassVar

import numpy as np
import tensorflow as tf

from tfrobust.errors import InputError
from tfrobust.metrics.robustness.goals.goal import Goal, positive
from tfrobust.metrics.similarity import ranks_from_the_top, top_k_overlap


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class TopPixels(Goal):
    """Lowers what the most important pixels hold of a map's positive values.

    Args:
        share: the most important pixels' share of all, above 0 and at most 1.

    Source: arXiv 1710.10547, Algorithm 1, the top-k attack.
    """

    name: ClassVar[str] = "top pixels"

    share: float = 0.1

    def __post_init__(self) -> None:
        if not 0 < self.share <= 1:
            raise InputError(f"expected a share above 0 and at most 1, got {self.share}")

    def reference(self, before: np.ndarray) -> np.ndarray:
        """1 at the most important pixels, 0 elsewhere."""
        count = max(1, round(self.share * before[0].size)) if len(before) else 1
        return (ranks_from_the_top(before) < count).astype(np.float32)

    def score(self, maps: tf.Tensor, reference: tf.Tensor) -> tf.Tensor:
        """From 0 to 1."""
        return tf.reduce_sum(positive(maps) * reference, axis=(1, 2))

    def loss(self, before: np.ndarray, after: np.ndarray) -> np.ndarray:
        """Which part of the most important pixels stayed so."""
        return top_k_overlap(before, after, share=self.share)
