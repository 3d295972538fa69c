"""RISE: the mean of random masks, each weighted by the confidence that it leaves."""

import dataclasses
from typing import ClassVar

import numpy as np
import tensorflow as tf

from tfrobust.core.classifier import Classifier
from tfrobust.errors import InputError
from tfrobust.explanations.masked import MaskMethod, Plan


@dataclasses.dataclass(frozen=True, kw_only=True)
class RISE(MaskMethod):
    """How much confidence is left, on average, by random masks that show a pixel.

    With N masks M, the map is Σ f(masked image)·M / (N·p). Each value of M is p on average, so the
    map is an unbiased estimate of its expectation over all masks. Its noise falls with √N. Maps
    of few masks are noisy.

    Args:
        samples: N, the number of masks. The paper takes 4,000 to 8,000 for images of 224 × 224.
        cells: a mask has so many cells in height and width, fewer in images that are smaller.
        shown: p, the probability that a cell is shown.
        fill: the value of hidden pixels, from 0 to 1. The paper's 0 is that of normalised pixels.
        seed: of the masks, which are the same for every image and call.
        batch_size: masked images that the network sees at a time.

    Source: Petsiuk et al., arXiv 1806.07421, section 3.
    """

    name: ClassVar[str] = "RISE"

    samples: int = 2000
    cells: int = 7
    shown: float = 0.5
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if min(self.samples, self.cells) < 1 or not 0 < self.shown < 1:
            raise InputError(
                "expected samples and cells of at least 1 and shown between 0 and 1, got "
                f"{self.samples}, {self.cells}, {self.shown}"
            )

    def plan(self, model: Classifier, images: tf.Tensor) -> Plan:
        """Which cells are shown, float32 (N, h, w), and where each mask is cut, int32 (N, 2)."""
        sides = tuple(images.shape[1:3])
        cells = tuple(min(self.cells, side) for side in sides)
        most = [_cell(side, count) for side, count in zip(sides, cells, strict=True)]
        rng = np.random.default_rng(self.seed)
        shown = rng.random((self.samples, *cells)) < self.shown
        begins = rng.integers(0, most, (self.samples, 2), endpoint=True)
        return shown.astype(np.float32), begins.astype(np.int32)

    def masks(self, plan: Plan, height: int, width: int) -> tf.Tensor:
        """See `MaskMethod.masks`: the cells enlarged bilinearly and cut at their beginnings."""
        rows, columns = self._enlarging(plan, height, width)
        return tf.matmul(rows, tf.matmul(plan[0], columns, transpose_b=True))

    def combined(self, plan: Plan, scores: tf.Tensor, height: int, width: int) -> tf.Tensor:
        """See `MaskMethod.combined`."""
        rows, columns = self._enlarging(plan, height, width)
        cells = plan[0] * tf.reshape(scores, (-1, 1, 1))
        # Summed over masks as it is multiplied, so that the masks are never there all at once.
        total = tf.tensordot(rows, tf.matmul(cells, columns, transpose_b=True), ((0, 2), (0, 1)))
        return total[None, ..., None] / (self.samples * self.shown)

    def _enlarging(self, plan: Plan, height: int, width: int) -> tuple[tf.Tensor, tf.Tensor]:
        cells, begins = plan
        return (
            _bilinear(begins[:, 0], height, cells.shape[1]),
            _bilinear(begins[:, 1], width, cells.shape[2]),
        )


def _cell(side: int, cells: int) -> int:
    """The pixels of a cell, so that one cell more than a mask has covers the side."""
    return -(-side // cells)


def _bilinear(begins: tf.Tensor, side: int, cells: int) -> tf.Tensor:
    """What each pixel takes of each cell.

    The cells are enlarged to (cells + 1) · `_cell` pixels, of which `side` are cut out.

    Args:
        begins: int (B,), the first pixel that is cut out.
        side: the pixels of the cut.
        cells: how many there are.

    Returns:
        float32 (B, side, cells).
    """
    pixels = tf.cast(begins, tf.float32)[:, None] + np.arange(side, dtype=np.float32) + 0.5
    places = pixels * cells / ((cells + 1) * _cell(side, cells)) - 0.5
    places = tf.clip_by_value(places, 0.0, cells - 1.0)
    distances = tf.abs(places[..., None] - np.arange(cells, dtype=np.float32))
    return tf.maximum(0.0, 1 - distances)
