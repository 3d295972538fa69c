"""Deletion and insertion: does the confidence live where a map says that it does?

Pixels are covered in the order of their importance, the most important first, and the target's
confidence is followed: it falls fast if the map is right (deletion). Uncovering them from nothing,
it rises fast (insertion). Source: RISE, arXiv 1806.07421.
"""

import dataclasses
from typing import ClassVar

import numpy as np

from tfrobust.metrics.map_measure import CoveringMeasure, Judged, check_counts
from tfrobust.metrics.similarity import ranks_from_the_top


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Deletion(CoveringMeasure):
    """The area under the score while the most important pixels are covered.

    By the trapezoidal rule over the share of pixels covered: with the confidence from 0 to 1. The
    smaller, the better the map.

    Args:
        steps: in how many equal parts the pixels go.

    `fill` is that of every `CoveringMeasure`, `score` and `batch_size` those of every `MapMeasure`.
    """

    # Whether pixels come instead of going.
    uncovers: ClassVar[bool] = False

    steps: int = 20

    def __post_init__(self) -> None:
        super().__post_init__()
        check_counts(steps=self.steps)

    def _judge(self, asked: Judged) -> np.ndarray:
        place = ranks_from_the_top(asked.maps)
        curve = np.zeros((self.steps + 1, len(asked.images)))
        for row, share in enumerate(np.arange(self.steps + 1) / self.steps):
            gone = (place < round(share * asked.pixels)) != self.uncovers
            curve[row] = asked.scores(self._covered(asked.images, gone))
        return ((curve[1:] + curve[:-1]) / 2).mean(axis=0)


class Insertion(Deletion):
    """The area under the score while the most important pixels are uncovered.

    The larger, the better the map. `steps` is that of `Deletion`, and so are the others.
    """

    uncovers = True
