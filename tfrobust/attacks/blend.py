"""An attack that needs no gradient and finds something where any image meets the criterion."""

import dataclasses
from typing import Any

import numpy as np
import tensorflow as tf

from tfrobust.attacks.base import Attack, Block, meets
from tfrobust.attacks.line_search import shortened
from tfrobust.core.classifier import Classifier, answers
from tfrobust.errors import InputError


@dataclasses.dataclass(kw_only=True, eq=False)
class Blend(Attack):
    """The smallest step towards the nearest image of a pool that meets the criterion.

    It is a last resort: it does nothing for images that have a start from another attack.

    Args:
        pool: float (M, H, W, C) in [0, 1], the images to go towards, such as all that are
            evaluated.
        line_steps: halvings of the line.
        bounds: makes no difference, as the line between two images stays in [0, 1].
        batch_size: how many images are computed at a time.

    Raises:
        InputError: the pool is no batch of images, or line_steps is below 1.
    """

    needs_gradient = False

    pool: Any = dataclasses.field(kw_only=False, repr=False)
    line_steps: int = 16

    def __post_init__(self) -> None:
        super().__post_init__()
        self.pool = np.asarray(self.pool, np.float32)
        if self.pool.ndim != 4 or self.line_steps < 1:
            raise InputError(
                "expected a pool of images (M, H, W, C) and line_steps of at least 1, got shape "
                f"{self.pool.shape} and {self.line_steps}"
            )

    @property
    def name(self) -> str:
        """The same for pools of any size, so that reports can be compared."""
        return "blend with another image"

    @property
    def queries(self) -> int:
        """The whole pool, and the last search."""
        return len(self.pool) + self.line_steps + 2

    def _run(self, model: Classifier, block: Block) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        count = len(block.classes)
        nothing = np.zeros(count, bool)
        delta = np.zeros(block.images.shape, np.float32)
        wanted = ~block.start.numpy().any(axis=(1, 2, 3))
        if not wanted.any():
            return delta, nothing, nothing
        images = block.images.numpy()
        logits = self._answers(model, count)
        for row in np.flatnonzero(wanted):
            classes = tf.fill([len(self.pool)], block.classes[row])
            met = np.flatnonzero(block.criterion.met(logits, classes))
            if len(met):
                offsets = self.pool[met] - images[row]
                delta[row] = offsets[np.square(offsets).mean(axis=(1, 2, 3)).argmin()]
        found = meets(model, block.criterion, block.images + delta, block.classes).numpy() & wanted
        shorter = shortened(
            model,
            block.criterion,
            block.images,
            block.classes,
            tf.constant(delta),
            self.line_steps,
        )
        return shorter.numpy(), found, nothing

    def _answers(self, model: Classifier, count: int) -> tf.Tensor:
        """The pool's logits (M, K), `count` images at a time."""
        parts = []
        for first in range(0, len(self.pool), count):
            # All blocks are of one size, as each new size would be compiled anew.
            rows = np.arange(first, first + count) % len(self.pool)
            parts.append(answers(model, tf.constant(self.pool[rows])))
        return tf.concat(parts, axis=0)[: len(self.pool)]
