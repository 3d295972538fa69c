"""Occlusion: what the target's confidence loses when a patch of the image is covered.

The idea of tf-explain's OcclusionSensitivity, computed anew: that one covers with 127.5, which
is right for pixels up to 255 only, swaps rows and columns of images that are not square, takes
logits for probabilities, and knows one class for a batch.
"""

import dataclasses
from typing import Any, ClassVar

import numpy as np
import tensorflow as tf

from tfrobust.core.opaque import Model
from tfrobust.errors import InputError
from tfrobust.explanations.base import MapMethod
from tfrobust.explanations.blocks import confidence


@dataclasses.dataclass(frozen=True, kw_only=True)
class Occlusion(MapMethod):
    """What the target's confidence loses when a patch is covered; needs no gradient.

    Args:
        patch: the patches' side in pixels, beside each other from the upper left corner on; an
            eighth of the image's longer side when None.
        fill: the value that covers, from 0 to 1.
        batch: images that the network sees at a time.

    Source: arXiv 1311.2901.
    """

    patch: int | None = None
    fill: float = 0.5

    needs_gradient: ClassVar[bool] = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if (self.patch is not None and self.patch < 1) or not 0 <= self.fill <= 1:
            raise InputError(
                "expected patches of at least 1 pixel and a fill from 0 to 1, got "
                f"{self.patch}, {self.fill}"
            )

    @property
    def name(self) -> str:
        """The method's name."""
        return "Occlusion"

    def passes(self, images: np.ndarray) -> int:
        """One a patch."""
        return len(self.patches(*images.shape[1:3]))

    def patches(self, height: int, width: int) -> np.ndarray:
        """Which pixels each patch covers: bool (P, H, W); none of them twice."""
        side = self.patch or max(1, round(max(height, width) / 8))
        across = -(-width // side)
        rows, columns = np.arange(height) // side, np.arange(width) // side
        number = rows[:, None] * across + columns
        return number == np.unique(number)[:, None, None]

    def attribution(self, model: Model, images: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
        """See `Method.attribution`: (B, H, W, 1), positive where covering costs confidence."""
        patches = self.patches(*images.shape[1:3])[..., None]
        covered = tf.where(patches, self.fill, images[:, None])
        logits = model(tf.reshape(covered, (-1, *images.shape[1:])))
        without = confidence(logits, tf.repeat(targets, len(patches)))
        drops = confidence(model(images), targets)[:, None] - tf.reshape(
            without, (-1, len(patches))
        )
        return tf.einsum("bp,phwc->bhwc", drops, patches.astype(np.float32))

    def pixels(self, attribution: Any) -> Any:
        """The drop, with its sign."""
        return tf.reduce_sum(attribution, axis=-1)
