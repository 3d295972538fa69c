"""Sensitivity: how much does a map change, for its own size or for the change of the image?"""

import numpy as np

from tfrobust.metrics.method_measure import Explained
from tfrobust.metrics.robustness.noise_measure import Neighbours, NoiseMeasure, length


class MaxSensitivity(NoiseMeasure):
    """The largest relative change of a map among an image's neighbours, ‖a(x′) − a(x)‖ / ‖a(x)‖.

    The smaller, the more robust. A map of zeros that stays so has 0, one that changes infinity.
    The hyper-parameters are those of every `NoiseMeasure`.

    Source: Yeh et al., arXiv 1901.09392, definition 3.1, divided by the map's size; normal noise.
    """

    def _compare(self, asked: Explained, near: Neighbours) -> np.ndarray:
        before = asked.before.map
        return _divided(length(near.after.map - before), length(before))


class AverageSensitivity(MaxSensitivity):
    """The mean relative change of a map among an image's neighbours, as in `MaxSensitivity`.

    Source: Bhatt et al., arXiv 2005.00631, definition 2, divided by the map's size; normal noise.
    """

    def _together(self, found: np.ndarray) -> np.ndarray:
        return found.mean(axis=0)


class LocalLipschitz(NoiseMeasure):
    """The largest change of a map for each unit of the image's change, ‖a(x′) − a(x)‖ / ‖x′ − x‖.

    In L2: the smaller, the more robust. It has the unit of the map, so that only maps of one method
    can be compared by it. The hyper-parameters are those of every `NoiseMeasure`.

    Source: Alvarez-Melis and Jaakkola, arXiv 1806.08049, equation 2.
    """

    def _compare(self, asked: Explained, near: Neighbours) -> np.ndarray:
        change = length(near.after.map - asked.before.map)
        return _divided(change, length(near.images - asked.images))


def _divided(change: np.ndarray, by: np.ndarray) -> np.ndarray:
    """change / by; 0 where nothing changed, infinity where only what divides is 0."""
    return np.where(change > 0, np.where(by > 0, change / np.where(by > 0, by, 1), np.inf), 0.0)
