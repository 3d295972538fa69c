"""The same map for another decision: the explanation shall hide that the answer changed."""

import dataclasses
from typing import ClassVar

import numpy as np
import tensorflow as tf

from tfrobust.metrics.robustness.goals.rank_order import RankOrder


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class SameMap(RankOrder):
    """Keeps the map's rank order, while the network has to predict another class.

    Source: the perturbations that measure a map's sensitivity in PMC10831523.
    """

    name: ClassVar[str] = "same map, other class"
    keeps_class: ClassVar[bool] = False

    def score(self, maps: tf.Tensor, reference: tf.Tensor) -> tf.Tensor:
        """From −1 to 1."""
        return -super().score(maps, reference)

    def loss(self, before: np.ndarray, after: np.ndarray) -> np.ndarray:
        """Minus the rank correlation."""
        return -super().loss(before, after)
