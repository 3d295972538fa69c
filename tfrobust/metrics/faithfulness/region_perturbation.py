"""Region perturbation: how fast does the score fall when whole patches go, the best first?"""

import dataclasses

import numpy as np

from tfrobust.metrics.map_measure import CoveringMeasure, Judged, check_counts
from tfrobust.metrics.similarity import ranks_from_the_top


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class RegionPerturbation(CoveringMeasure):
    """The area over the perturbation curve: the mean fall of the score while patches go.

    The image is cut into patches, which go one after the other, that with the largest sum first.
    The fall of the whole image, 0, is part of the mean. The larger, the better the map.

    Args:
        patch: side of a patch in pixels; those at the right and at the bottom may be smaller.
        regions: how many patches go; None for all.

    `fill` is that of every `CoveringMeasure`, `score` and `batch_size` those of every `MapMeasure`.

    Source: Samek et al., arXiv 1509.06321, equation 12.
    """

    patch: int = 4
    regions: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_counts(patch=self.patch, regions=1 if self.regions is None else self.regions)

    def _judge(self, asked: Judged) -> np.ndarray:
        _, height, width = asked.maps.shape
        down, across = np.arange(0, height, self.patch), np.arange(0, width, self.patch)
        sums = np.add.reduceat(np.add.reduceat(asked.maps, down, axis=1), across, axis=2)
        place = ranks_from_the_top(sums)
        place = place[:, np.arange(height) // self.patch][:, :, np.arange(width) // self.patch]
        whole = asked.scores(asked.images)
        falls = [np.zeros(len(whole))]
        for gone in range(1, min(self.regions or sums[0].size, sums[0].size) + 1):
            falls.append(whole - asked.scores(self._covered(asked.images, place < gone)))
        return np.mean(falls, axis=0)
