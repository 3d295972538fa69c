"""Subsets of pixels: does a map's sum over some pixels tell how the score falls without them?

Pixels are covered, a random subset at a time, and the fall of the score is compared with the sum of
the map over the subset. For a linear network and its exact attributions the two are equal.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

from tfrobust.errors import InputError
from tfrobust.metrics.map_measure import CoveringMeasure, Judged
from tfrobust.metrics.similarity import correlation


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class _Subsets(CoveringMeasure):
    """What both measures share: the subsets, and the correlation over them."""

    draws: int = 100
    seed: int = 0

    def _check(self, shares: Sequence[float]) -> None:
        if self.draws < 2 or not len(shares) or not all(0 < share < 1 for share in shares):
            raise InputError(
                "expected at least 2 draws and shares above 0 and below 1, got "
                f"{self.draws}, {tuple(shares)}"
            )

    def _correlations(self, asked: Judged, shares: Sequence[float]) -> list[np.ndarray]:
        """For each share of the pixels, float64 (N,)."""
        rng = np.random.default_rng(self.seed)
        whole = asked.scores(asked.images)
        found = []
        for share in shares:
            size = max(1, round(share * asked.pixels))
            sums, falls = [], []
            for _ in range(self.draws):
                chosen = np.zeros(asked.maps.shape[1:], bool)
                chosen.flat[rng.choice(chosen.size, size, replace=False)] = True
                sums.append(asked.maps[:, chosen].sum(axis=-1))
                falls.append(whole - asked.scores(self._covered(asked.images, chosen[None])))
            found.append(correlation(np.stack(sums, axis=-1), np.stack(falls, axis=-1)))
        return found


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class FaithfulnessCorrelation(_Subsets):
    """Correlation of the map's sums over random subsets with the falls of the score.

    It gives Pearson's correlation over the subsets, from −1 to 1; 0 where the sums or the scores do
    not vary. The larger, the better the map. Its signs count.

    Args:
        draws: how many subsets, the same for all images; at least 2.
        seed: of the subsets.
        share: each subset's share of all pixels, above 0 and below 1; at least one pixel.

    `fill` is that of every `CoveringMeasure`, `score` and `batch_size` those of every `MapMeasure`.

    Source: Bhatt et al., arXiv 2005.00631, definition 3.
    """

    share: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check((self.share,))

    def _judge(self, asked: Judged) -> np.ndarray:
        return self._correlations(asked, (self.share,))[0]


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class SensitivityN(_Subsets):
    """`FaithfulnessCorrelation` for subsets of several sizes. It gives float64 (S, N).

    Args:
        shares: float (S,), the subsets' shares of all pixels.

    The others are those of `FaithfulnessCorrelation`.

    Source: Ancona et al., arXiv 1711.06104, section 4.
    """

    shares: Sequence[float] = (0.05, 0.1, 0.2, 0.4)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check(self.shares)

    def _judge(self, asked: Judged) -> np.ndarray:
        return np.stack(self._correlations(asked, self.shares))

    def _of_none(self) -> np.ndarray:
        return np.zeros((len(self.shares), 0))
