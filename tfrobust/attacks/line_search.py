"""Searches on a line: how much of a perturbation is enough."""

from collections.abc import Callable

import tensorflow as tf

from tfrobust.attacks.base import Block, meets
from tfrobust.core.bounds import Bounds
from tfrobust.core.classifier import Classifier
from tfrobust.core.criterion import Criterion
from tfrobust.core.distances import clip, per_image


def bisected(
    met: Callable[[tf.Tensor], tf.Tensor], short: tf.Tensor, long: tf.Tensor, halvings: int
) -> tf.Tensor:
    """Bisects between a length that is too short and one that does.

    Args:
        met: float32 (B,) lengths → bool (B,), whether each does.
        short: float32 (B,), lengths that are too short.
        long: float32 (B,), lengths that do.
        halvings: how often `met` is asked.

    Returns:
        float32 (B,), the shortest lengths that do, of those that were tried.
    """
    for _ in range(halvings):
        middle = (short + long) / 2
        does = met(middle)
        short, long = tf.where(does, short, middle), tf.where(does, middle, long)
    return long


def shortened(
    model: Classifier,
    criterion: Criterion,
    images: tf.Tensor,
    classes: tf.Tensor,
    delta: tf.Tensor,
    halvings: int,
) -> tf.Tensor:
    """Bisects on the line from the clean image to a perturbation that meets the criterion.

    Args:
        model: images (B, H, W, C) → logits (B, K).
        criterion: what must stay met.
        images: float32 (B, H, W, C).
        classes: int32 (B,).
        delta: float32 (B, H, W, C). Perturbations that do not meet the criterion come back as
            they are or shorter.
        halvings: forward passes. The last interval is 2^−halvings of the line.

    Returns:
        float32 (B, H, W, C), the shortest perturbation tried that meets the criterion.
    """

    def met(share: tf.Tensor) -> tf.Tensor:
        return meets(model, criterion, images + per_image(share) * delta, classes)

    none, whole = tf.zeros_like(delta[:, 0, 0, 0]), tf.ones_like(delta[:, 0, 0, 0])
    return per_image(bisected(met, none, whole, halvings)) * delta


def known_start(
    model: Classifier, block: Block, bounds: Bounds | None
) -> tuple[tf.Tensor, tf.Tensor]:
    """The perturbations that a block's attack may begin with.

    Args:
        model: images (B, H, W, C) → logits (B, K).
        block: its start may come from an attack without bounds, or on another model.
        bounds: the lowest and the highest value of an attacked pixel; None for no bounds.

    Returns:
        Perturbations float32 (B, H, W, C) within bounds that meet the criterion, zeros where none
        is known; and bool (B,), where one is known.
    """
    start = clip(block.images, block.start, bounds)
    given = tf.reduce_any(start != 0, axis=(1, 2, 3))
    if not tf.reduce_any(given):
        return tf.zeros_like(start), given
    given &= meets(model, block.criterion, block.images + start, block.classes)
    return tf.where(per_image(given), start, 0.0), given
