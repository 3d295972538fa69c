"""Right for the right reasons: a penalty on what a network sees where people say there is nothing.

People mark in some pictures what is evidence and what is not. The penalty is the input gradient of
the network's answers, where there is no evidence. It needs no labels: the sum of all
log-probabilities stays when a pixel changes, unless an answer is moved by it.

The paper takes the gradient at the marked pictures. A few dozen of them are learned by heart, and
little else changes. So it is taken here at random points between a marked picture and the images
of the batch, as mixup (arXiv 1710.09412) makes images.
"""

import base64
import io
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfrobust.core.distances import per_image
from tfrobust.errors import InputError

# The most bytes of marked images, which are part of a program's graph and of a saved classifier.
LARGEST = 2**28


@keras.saving.register_keras_serializable(package="tfrobust")
class EvidencePenalty:
    """The squared input gradient outside of the evidence, a mean over the images of a batch.

    Each image of the batch is mixed with a marked picture that is drawn for it, by a share drawn
    from 0 to 1. There it is Σ over the pixels outside of that picture's evidence of
    (∂/∂x Σ_k log p_k)².

    Args:
        images: uint8 (M, H, W, C), the marked images in the network's size.
        outside: bool (M, H, W), the pixels that are no evidence.
        weight: λ, what the penalty is multiplied with in the loss, above 0. The paper advises one
            that makes both terms of the loss of one order of magnitude.

    Raises:
        InputError: arrays of other types or shapes, no image, more than 256 MiB of them, an image
            of which every pixel may be evidence, or a weight not above 0.

    Source: Ross, Hughes and Doshi-Velez, arXiv 1703.03717, equation 1; the mixing is ours.
    """

    def __init__(self, images: Any, outside: Any, *, weight: float = 10.0) -> None:
        images, outside = np.asarray(images), np.asarray(outside)
        if images.dtype != np.uint8 or images.ndim != 4 or not len(images):
            raise InputError(
                f"expected marked images as uint8 (M, H, W, C), got {images.dtype} of shape "
                f"{images.shape}"
            )
        if outside.dtype != bool or outside.shape != images.shape[:3]:
            raise InputError(
                f"expected what is no evidence as bool {images.shape[:3]}, got {outside.dtype} of "
                f"shape {outside.shape}"
            )
        if images.nbytes + outside.nbytes > LARGEST:
            raise InputError(
                f"expected marked images of at most {LARGEST / 2**20:.0f} MiB, got {len(images)} "
                f"of {images.shape[1:]}: programs and saved classifiers hold them. Take fewer"
            )
        if not (some := outside.any(axis=(1, 2))).all():
            raise InputError(
                "expected in every marked image pixels that are no evidence; number "
                f"{np.argmin(some)} of {len(images)} has none"
            )
        if not weight > 0:
            raise InputError(f"expected a weight above 0, got {weight}")
        self.images, self.outside, self.weight = images, outside, float(weight)

    def check(self, image_shape: tuple[int, int, int]) -> None:
        """Refuses marked images of another size than a network takes.

        Raises:
            InputError: says both sizes.
        """
        if self.images.shape[1:] != image_shape:
            raise InputError(
                f"expected marked images of the network's {image_shape}, got some of "
                f"{self.images.shape[1:]}: mark pictures with a network of that size"
            )

    def __call__(
        self,
        model: Callable[[tf.Tensor], tf.Tensor],
        images: tf.Tensor,
        draws: tf.Tensor,
        *,
        several: bool = False,
    ) -> tf.Tensor:
        """The penalty of a model, a scalar with a gradient to its weights, times the weight.

        Args:
            model: float images (B, H, W, C) from 0 to 1 → logits (B, K).
            images: float (B, H, W, C), of the batch.
            draws: float (B, 2), uniform in [0, 1): which marked picture, and its share.
            several: whether the logits are of labels that may hold together.
        """
        count = len(self.images)
        # Rounding may carry a draw just below 1 up to the count.
        rows = tf.minimum(tf.cast(draws[:, 0] * count, tf.int32), count - 1)
        marked = tf.cast(tf.gather(tf.constant(self.images), rows), images.dtype) / 255.0
        outside = tf.cast(tf.gather(tf.constant(self.outside), rows), images.dtype)
        share = per_image(tf.cast(draws[:, 1], images.dtype))
        points = tf.stop_gradient(share * marked + (1.0 - share) * images)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(points)
            total = tf.reduce_sum(all_answers(model(points), several=several))
        squares = tf.square(tape.gradient(total, points)) * outside[..., None]
        return self.weight * tf.reduce_mean(tf.reduce_sum(squares, axis=(1, 2, 3)))

    def get_config(self) -> dict[str, Any]:
        """The arguments that make the same penalty, the images as text."""
        file = io.BytesIO()
        np.savez_compressed(file, images=self.images, outside=self.outside)
        return {"marked": base64.b64encode(file.getvalue()).decode(), "weight": self.weight}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "EvidencePenalty":
        """A penalty from what `get_config` gave."""
        with np.load(io.BytesIO(base64.b64decode(config["marked"])), allow_pickle=False) as file:
            return cls(file["images"], file["outside"], weight=config["weight"])


def all_answers(logits: tf.Tensor, *, several: bool) -> tf.Tensor:
    """The sum of the logarithms of all answers' probabilities: logits (B, K) → (B,).

    Args:
        logits: of classes, or of labels that may hold together, each of which has two answers.
        several: which of the two.
    """
    if several:
        return -tf.reduce_sum(tf.nn.softplus(logits) + tf.nn.softplus(-logits), axis=-1)
    return tf.reduce_sum(tf.nn.log_softmax(logits), axis=-1)
