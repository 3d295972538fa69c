"""Rank order: the pixels change places until the maps have nothing to do with each other."""

import dataclasses
from typing import ClassVar

import numpy as np
import tensorflow as tf
from scipy.stats import rankdata

from tfrobust.metrics.robustness.goals.goal import Goal
from tfrobust.metrics.similarity import rank_correlation


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class RankOrder(Goal):
    """Lowers the rank correlation (Spearman) with the map as it was.

    The score is the correlation of the map with the ranks of what it was, as the map's own ranks
    have no gradient.
    """

    name: ClassVar[str] = "rank order"

    def reference(self, before: np.ndarray) -> np.ndarray:
        """The ranks of each map's pixels, at mean 0 and norm 1."""
        ranks = rankdata(before.reshape(len(before), before.shape[1] * before.shape[2]), axis=-1)
        ranks -= ranks.mean(axis=-1, keepdims=True)
        norms = np.linalg.norm(ranks, axis=-1, keepdims=True)
        found: np.ndarray = ranks / np.where(norms > 0, norms, 1)
        return found.reshape(before.shape).astype(np.float32)

    def score(self, maps: tf.Tensor, reference: tf.Tensor) -> tf.Tensor:
        """From −1 to 1."""
        maps -= tf.reduce_mean(maps, axis=(1, 2), keepdims=True)
        spread = tf.sqrt(tf.reduce_sum(tf.square(maps), axis=(1, 2)) + 1e-12)
        return tf.reduce_sum(maps * reference, axis=(1, 2)) / spread

    def loss(self, before: np.ndarray, after: np.ndarray) -> np.ndarray:
        """The rank correlation."""
        return rank_correlation(before, after)
