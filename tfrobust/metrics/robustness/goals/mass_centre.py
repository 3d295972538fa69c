"""Centre of mass: the evidence moves to another place."""

import dataclasses
from typing import Any, ClassVar

import numpy as np
import tensorflow as tf

from tfrobust.metrics.robustness.goals.goal import Goal, positive


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class MassCentre(Goal):
    """Moves the centre of a map's positive values away from where it was.

    Source: arXiv 1710.10547, Algorithm 1, the mass-center attack.
    """

    name: ClassVar[str] = "centre of mass"

    def reference(self, before: np.ndarray) -> np.ndarray:
        """The maps as they were."""
        return before.astype(np.float32)

    def score(self, maps: tf.Tensor, reference: tf.Tensor) -> tf.Tensor:
        """Minus the distance of the two centres, in pixels."""
        way = centre(positive(maps)) - centre(positive(reference))
        # The root has no gradient at 0, where the centres are one.
        return -tf.sqrt(tf.reduce_sum(tf.square(way), axis=-1) + 1e-12)

    def loss(self, before: np.ndarray, after: np.ndarray) -> np.ndarray:
        """Minus the distance of the two centres, in pixels."""
        maps = (tf.constant(values, tf.float64) for values in (before, after))
        first, second = (centre(positive(values)).numpy() for values in maps)
        return -np.linalg.norm(first - second, axis=-1)


def centre(mass: Any) -> Any:
    """The centre (B, 2), down and across, of masses (B, H, W) that sum to 1."""
    down, across = (tf.range(size, dtype=mass.dtype) for size in mass.shape[1:])
    return tf.stack(
        [tf.reduce_sum(mass * down[:, None], (1, 2)), tf.reduce_sum(mass * across, (1, 2))], axis=-1
    )
