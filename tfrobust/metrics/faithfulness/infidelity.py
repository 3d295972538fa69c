"""Infidelity: does an attribution, times a change of the image, tell the change of the score?"""

import dataclasses
from typing import ClassVar

import numpy as np

from tfrobust.errors import InputError
from tfrobust.metrics.map_measure import CoveringMeasure, Judged, check_counts


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Infidelity(CoveringMeasure):
    """The mean square of what the attribution foretells less what the score does.

    A random part of the pixels goes to a noisy baseline: the change is I = x − (fill + noise), and
    the attribution Φ, per unit of each value as a gradient is, foretells the fall of the score to
    be I·Φ. A map (N, H, W) is taken for the same in all channels. It gives 0 or more: the smaller,
    the better the attribution.

    Args:
        share: each pixel's probability to change, above 0 and at most 1.
        draws: how many changes.
        noise: standard deviation of the noise around the baseline `fill`, at least 0.
        scaled: whether each attribution is first multiplied with the number that suits it best.
            Methods whose values have no unit are compared so. An attribution of zeros then has the
            mean square of the falls.
        seed: of the changes.

    `fill` is that of every `CoveringMeasure`, `score` and `batch_size` those of every `MapMeasure`.

    Source: Yeh et al., arXiv 1901.09392, definition 2.1 and section 4 (noisy baseline); the scale
    is that of their appendix.
    """

    of_channels: ClassVar[bool] = True

    share: float = 0.2
    draws: int = 50
    noise: float = 0.1
    scaled: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_counts(draws=self.draws)
        if not 0 < self.share <= 1 or not self.noise >= 0:
            raise InputError(
                "expected a share above 0 and at most 1 and a noise of at least 0, got "
                f"{self.share}, {self.noise}"
            )

    def _judge(self, asked: Judged) -> np.ndarray:
        images = asked.images
        values = asked.maps[..., None] if asked.maps.ndim == 3 else asked.maps
        rng = np.random.default_rng(self.seed)
        whole = asked.scores(images)
        told, falls = [], []
        for _ in range(self.draws):
            goes = rng.random(images.shape[1:3]) < self.share
            shift = rng.normal(0, self.noise, images.shape) if self.noise else 0
            baseline = self.fill + shift
            change = np.where(goes[None, ..., None], images - baseline, 0)
            told.append((change * values).sum(axis=(1, 2, 3)))
            falls.append(whole - asked.scores(images - change))
        foretold, fall = np.stack(told), np.stack(falls)
        if self.scaled:
            squares = (foretold**2).sum(axis=0)
            best = (foretold * fall).sum(axis=0) / np.where(squares > 0, squares, 1)
            foretold = foretold * best
        return ((foretold - fall) ** 2).mean(axis=0)
