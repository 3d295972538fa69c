"""A last resort that always finds: on the line to another image that meets the goal."""

from typing import Any

import numpy as np
import tensorflow as tf

from tfrobust.attacks.base import Attack, Block, meets
from tfrobust.core.distances import Bounds, per_image
from tfrobust.core.opaque import Model, answers
from tfrobust.errors import InputError


class Blend(Attack):
    """The smallest step towards the nearest of some images that meets the goal.

    Needs no gradient. Where other attacks found something, it is left at that.

    Args:
        pool: float (M, H, W, C) in [0, 1], images to go towards, such as all that are evaluated.
        line_steps: halvings of the line.
        bounds: makes no difference: the line between two images stays in [0, 1].
        batch_size: images computed at a time.
    """

    needs_gradient = False

    def __init__(
        self, pool: Any, *, line_steps: int = 16, bounds: Bounds | None = None, batch_size: int = 50
    ) -> None:
        super().__init__(bounds=bounds, batch_size=batch_size)
        self._pool = np.asarray(pool, np.float32)
        if self._pool.ndim != 4 or line_steps < 1:
            raise InputError(
                "expected a pool of images (M, H, W, C) and line_steps of at least 1, got shape "
                f"{self._pool.shape} and {line_steps}"
            )
        self.pool_images, self.line_steps = len(self._pool), line_steps

    @property
    def name(self) -> str:
        """The same for pools of any size, so that reports can be compared."""
        return "blend with another image"

    def _run(self, model: Model, block: Block) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        count = len(block.classes)
        nothing = np.zeros(count, bool)
        delta = np.zeros(block.images.shape, np.float32)
        wanted = ~block.start.numpy().any(axis=(1, 2, 3))
        if not wanted.any():
            return delta, nothing, nothing
        images = block.images.numpy()
        logits = self._answers(model, count)
        for row in np.flatnonzero(wanted):
            classes = tf.fill([len(self._pool)], block.classes[row])
            met = np.flatnonzero(block.criterion.met(logits, classes))
            if len(met):
                offsets = self._pool[met] - images[row]
                delta[row] = offsets[np.square(offsets).mean(axis=(1, 2, 3)).argmin()]
        short, long = np.zeros(count, np.float32), np.ones(count, np.float32)
        found = meets(model, block.criterion, block.images + delta, block.classes).numpy() & wanted
        for _ in range(self.line_steps):
            middle = (short + long) / 2
            moved = block.images + delta * per_image(tf.constant(middle))
            met = meets(model, block.criterion, moved, block.classes).numpy()
            short, long = np.where(met, short, middle), np.where(met, middle, long)
        return delta * long[:, None, None, None], found, nothing

    def _answers(self, model: Model, count: int) -> tf.Tensor:
        """The pool's logits (M, K), `count` images at a time."""
        parts = []
        for first in range(0, len(self._pool), count):
            # One size of block, or each new size is compiled anew.
            rows = np.arange(first, first + count) % len(self._pool)
            parts.append(answers(model, tf.constant(self._pool[rows])))
        return tf.concat(parts, axis=0)[: len(self._pool)]
