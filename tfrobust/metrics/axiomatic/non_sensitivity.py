"""Non-sensitivity: pixels that change nothing should have no value, and only they."""

import dataclasses

import numpy as np

from tfrobust.errors import InputError
from tfrobust.metrics.map_measure import Judged, MapMeasure, check_counts


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class NonSensitivity(MapMeasure):
    """The share of patches for which the map and the network disagree about whether they matter.

    Each patch is drawn anew from the uniform distribution on [0, 1]. It matters to the network if
    the root mean square of the score's change is above the threshold, and to the map if its mean
    size is above the same part of the map's largest value. From 0 to 1: the smaller, the better.

    Args:
        patch: side of a patch in pixels. Every patch costs `draws` answers an image.
        draws: how often each patch is drawn anew.
        threshold: what counts as nothing, at least 0.
        seed: of the draws.

    `score` and `batch_size` are those of every `MapMeasure`.

    Source: Nguyen and Martínez, arXiv 2007.07584, section 3.2, as a share of the patches.
    """

    patch: int = 1
    draws: int = 5
    threshold: float = 1e-5
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_counts(patch=self.patch, draws=self.draws)
        if not self.threshold >= 0:
            raise InputError(f"expected a threshold of at least 0, got {self.threshold}")

    def _judge(self, asked: Judged) -> np.ndarray:
        rng = np.random.default_rng(self.seed)
        images, sizes, side = asked.images, np.abs(asked.maps), self.patch
        nothing = self.threshold * sizes.max(axis=(1, 2))
        whole = asked.scores(images)
        differ = []
        for row in range(0, images.shape[1], side):
            for column in range(0, images.shape[2], side):
                there = np.s_[:, row : row + side, column : column + side]
                squares = np.zeros(len(images))
                for _ in range(self.draws):
                    changed = images.copy()
                    changed[there] = rng.random(changed[there].shape, np.float32)
                    squares += (asked.scores(changed) - whole) ** 2
                matters = np.sqrt(squares / self.draws) > self.threshold
                differ.append(matters != (sizes[there].mean(axis=(1, 2)) > nothing))
        return np.mean(differ, axis=0)
