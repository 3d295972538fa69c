"""Occlusion: how much confidence the target loses when a patch of the image is covered."""

import dataclasses
from typing import ClassVar

import numpy as np
import tensorflow as tf

from tfrobust.core.classifier import Classifier
from tfrobust.errors import InputError
from tfrobust.explanations.base import MapMethod
from tfrobust.explanations.grid import grid
from tfrobust.explanations.targets import confidence


@dataclasses.dataclass(frozen=True, kw_only=True)
class Occlusion(MapMethod):
    """How much confidence the target loses when a patch is covered. It needs no gradient.

    Args:
        patch: the side of a patch in pixels. Patches lie side by side from the upper left corner
            on. None takes an eighth of the image's longer side.
        fill: the value of covered pixels, from 0 to 1.
        batch_size: images that the network sees at a time.

    Source: arXiv 1311.2901.
    """

    name: ClassVar[str] = "Occlusion"
    needs_gradient: ClassVar[bool] = False
    signed: ClassVar[bool] = True

    patch: int | None = None
    fill: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        if (self.patch is not None and self.patch < 1) or not 0 <= self.fill <= 1:
            raise InputError(
                "expected patches of at least 1 pixel and a fill from 0 to 1, got "
                f"{self.patch}, {self.fill}"
            )

    def passes(self, images: np.ndarray) -> int:
        """One for each patch."""
        return len(self.patches(*images.shape[1:3]))

    def patches(self, height: int, width: int) -> np.ndarray:
        """The pixels that each of P patches covers: see `grid`."""
        return grid(height, width, self.patch)

    def attribution(self, model: Classifier, images: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
        """See `Method.attribution`: (B, H, W, 1), positive where covering loses confidence."""
        patches = self.patches(*images.shape[1:3])[..., None]
        covered = tf.where(patches, self.fill, images[:, None])
        logits = model(tf.reshape(covered, (-1, *images.shape[1:])))
        without = confidence(logits, tf.repeat(targets, len(patches)))
        drops = confidence(model(images), targets)[:, None] - tf.reshape(
            without, (-1, len(patches))
        )
        return tf.einsum("bp,phwc->bhwc", drops, patches.astype(np.float32))
