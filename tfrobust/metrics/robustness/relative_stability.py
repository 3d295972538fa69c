"""Relative stability: a map may change as much as its image, or as the network's answer, does."""

from abc import abstractmethod

import numpy as np

from tfrobust.metrics.method_measure import Explained
from tfrobust.metrics.robustness.noise_measure import Neighbours, NoiseMeasure, length

# Below it, a number does not divide another.
SMALLEST = 1e-6


class _RelativeStability(NoiseMeasure):
    """The largest change of a map for another change, among the neighbours of the same class."""

    def _compare(self, asked: Explained, near: Neighbours) -> np.ndarray:
        logits = asked.logits(near.images)
        by = np.maximum(length(self._change(asked, near, logits)), SMALLEST)
        same = asked.logits_before.argmax(axis=-1) == logits.argmax(axis=-1)
        ratio = length(_share(near.after.map, asked.before.map)) / by
        return np.where(same, ratio, np.nan)

    def _together(self, found: np.ndarray) -> np.ndarray:
        return np.fmax.reduce(found)  # which takes NaN for less than any number

    @abstractmethod
    def _change(self, asked: Explained, near: Neighbours, logits: np.ndarray) -> np.ndarray:
        """What the map's change is divided by, (N, …); the logits (N, K) are the neighbours'."""


class RelativeInputStability(_RelativeStability):
    """How many times more a map changes than its image, each in parts of what it was.

    It gives the largest ‖(a(x′) − a(x)) / a(x)‖ / ‖(x′ − x) / x‖, value by value, in L2, of
    neighbours of the same class: the smaller, the more stable. NaN where there is none. The
    hyper-parameters are those of every `NoiseMeasure`.

    Source: Agarwal et al., arXiv 2203.06877, equation 2.
    """

    def _change(self, asked: Explained, near: Neighbours, logits: np.ndarray) -> np.ndarray:
        return _share(near.images, asked.images)


class RelativeOutputStability(_RelativeStability):
    """How much a map changes, in parts of what it was, for each unit of the logits' change.

    It gives the largest ‖(a(x′) − a(x)) / a(x)‖ / ‖h(x′) − h(x)‖ in L2, h the logits, of neighbours
    of the same class: the smaller, the more stable. NaN where there is none. The hyper-parameters
    are those of every `NoiseMeasure`.

    Source: Agarwal et al., arXiv 2203.06877, equation 5.
    """

    def _change(self, asked: Explained, near: Neighbours, logits: np.ndarray) -> np.ndarray:
        return logits - asked.logits_before


def _share(after: np.ndarray, before: np.ndarray) -> np.ndarray:
    """The change of each value in parts of what it was; of values near 0, in parts of SMALLEST."""
    size = np.maximum(np.abs(before), SMALLEST)
    return (after.astype(np.float64) - before) / size
