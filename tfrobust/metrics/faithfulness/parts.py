"""Parts of an image in the order of a map: does each part matter as much as the map says?

The pixels are sorted by importance and cut into parts of one size. Each part alone is changed, all
else stays, and the change of the score is compared with what the map says of the part.
"""

import dataclasses
import itertools

import numpy as np
from scipy.stats import rankdata

from tfrobust.metrics.map_measure import CoveringMeasure, Judged, MapMeasure, check_counts
from tfrobust.metrics.similarity import correlation, ranks_from_the_top


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class FaithfulnessEstimate(CoveringMeasure):
    """Correlation of the map's sum over each part with the fall of the score without it.

    It gives Pearson's correlation over the parts, from −1 to 1; 0 where the sums or the scores do
    not vary. The larger, the better the map. Its signs count.

    Args:
        parts: in how many parts the pixels are cut.

    `fill` is that of every `CoveringMeasure`, `score` and `batch_size` those of every `MapMeasure`.

    Source: Alvarez-Melis and Jaakkola, arXiv 1806.07538, section 4.
    """

    parts: int = 20

    def __post_init__(self) -> None:
        super().__post_init__()
        check_counts(parts=self.parts)

    def _judge(self, asked: Judged) -> np.ndarray:
        sums, falls, whole = [], [], asked.scores(asked.images)
        for part in parts_of(asked.maps, self.parts):
            sums.append(np.where(part, asked.maps, 0).sum(axis=(1, 2)))
            falls.append(whole - asked.scores(self._covered(asked.images, part)))
        return correlation(np.stack(sums, axis=-1), np.stack(falls, axis=-1))


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class MonotonicityCorrelation(MapMeasure):
    """Rank correlation of what the map says of each part with how uncertain it makes the score.

    A part's pixels are drawn anew from the uniform distribution on [0, 1]. How uncertain that
    makes the score is the mean square of its change. It gives Spearman's correlation over the
    parts, from −1 to 1; 0 where nothing varies. The larger, the better the map. The size of its
    values counts, not their sign.

    Args:
        parts: in how many parts the pixels are cut.
        draws: how often each part is drawn anew.
        seed: of the draws.

    `score` and `batch_size` are those of every `MapMeasure`.

    Source: Nguyen and Martínez, arXiv 2007.07584, section 3.2.
    """

    parts: int = 20
    draws: int = 10
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_counts(parts=self.parts, draws=self.draws)

    def _judge(self, asked: Judged) -> np.ndarray:
        rng = np.random.default_rng(self.seed)
        size, whole = np.abs(asked.maps), asked.scores(asked.images)
        sums, changes = [], []
        for part in parts_of(size, self.parts):
            sums.append(np.where(part, size, 0).sum(axis=(1, 2)))
            squares = []
            for _ in range(self.draws):
                drawn = rng.random(asked.images.shape, np.float32)
                changed = np.where(part[..., None], drawn, asked.images)
                squares.append((asked.scores(changed) - whole) ** 2)
            changes.append(np.mean(squares, axis=0))
        one, other = (rankdata(np.stack(values, axis=-1), axis=-1) for values in (sums, changes))
        return correlation(one, other)


def parts_of(importance: np.ndarray, parts: int) -> list[np.ndarray]:
    """The pixels of each part, the most important part first.

    Args:
        importance: float (N, H, W), N at least 1.
        parts: how many; no more than there are pixels are made.

    Returns:
        bool (N, H, W) for each part.
    """
    place = ranks_from_the_top(importance)
    pixels = importance[0].size
    edges = np.linspace(0, pixels, min(parts, pixels) + 1).round()
    return [(place >= first) & (place < last) for first, last in itertools.pairwise(edges)]
