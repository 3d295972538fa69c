"""Stability: does a map stay when its image changes a little at random?"""

import dataclasses

import numpy as np

from tfrobust.metrics.method_measure import Explained
from tfrobust.metrics.robustness.noise_measure import Neighbours, NoiseMeasure
from tfrobust.metrics.similarity import rank_correlation


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Stability(NoiseMeasure):
    """How alike a method's maps stay: the mean of Spearman's correlations without and with noise.

    Near 1 is right.

    Args:
        draws: how many neighbours an image has.

    `rmse` and `seed` are those of every `NoiseMeasure`.
    """

    draws: int = 3

    def _compare(self, asked: Explained, near: Neighbours) -> np.ndarray:
        return rank_correlation(asked.before.map, near.after.map)

    def _together(self, found: np.ndarray) -> np.ndarray:
        return found.mean(axis=0)
