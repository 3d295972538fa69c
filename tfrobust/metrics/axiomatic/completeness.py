"""Completeness: the attributions sum up to the score's difference from that of a baseline."""

import dataclasses
from typing import ClassVar

import numpy as np

from tfrobust.metrics.map_measure import CoveringMeasure, Judged
from tfrobust.metrics.scores import Score


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Completeness(CoveringMeasure):
    """How far an attribution's sum is from the difference that it should sum up to.

    It gives |Σ a − (f(x) − f(baseline))|, in the unit of the score. 0 is complete.

    Args:
        fill: the value of every pixel of the baseline, from 0 to 1.
        score: what the method explains: "logit" or "confidence".

    `batch_size` is that of every `MapMeasure`.

    Source: Sundararajan et al., arXiv 1703.01365, section 3.
    """

    of_channels: ClassVar[bool] = True

    fill: float = 0.0
    score: Score = "logit"

    def _judge(self, asked: Judged) -> np.ndarray:
        baseline = np.full_like(asked.images, self.fill)
        rise = asked.scores(asked.images) - asked.scores(baseline)
        return np.abs(asked.maps.sum(axis=tuple(range(1, asked.maps.ndim))) - rise)
