"""What the walks in L2 share: norms, unit vectors, known beginnings, the last bisection."""

import tensorflow as tf

from tfrobust.attacks.base import Block, meets
from tfrobust.core.criteria import Criterion
from tfrobust.core.distances import Bounds, clip, per_image
from tfrobust.core.opaque import Model


def shortened(
    model: Model,
    criterion: Criterion,
    images: tf.Tensor,
    classes: tf.Tensor,
    delta: tf.Tensor,
    halvings: int,
) -> tf.Tensor:
    """Bisects on the line from the clean image to a perturbation that meets the goal.

    Args:
        model: gives logits for images.
        goal: what is to be met still.
        images: float (B, H, W, C).
        classes: int (B,).
        delta: float (B, H, W, C), meets the goal; what does not is returned as it is or shorter.
        halvings: forward passes; the last interval is 2^-halvings of the line.

    Returns:
        The shortest perturbation tried that meets the goal.
    """
    short, long = tf.zeros_like(delta[:, 0, 0, 0]), tf.ones_like(delta[:, 0, 0, 0])
    for _ in range(halvings):
        middle = (short + long) / 2
        met = meets(model, criterion, images + per_image(middle) * delta, classes)
        short, long = tf.where(met, short, middle), tf.where(met, middle, long)
    return per_image(long) * delta


def known(model: Model, block: Block, bounds: Bounds | None) -> tuple[tf.Tensor, tf.Tensor]:
    """The perturbations that a block's attack may begin with.

    Args:
        model: gives logits for images.
        block: its start may be of an attack without bounds, or of another model.
        bounds: the lowest and highest value of an attacked pixel; None for no bounds.

    Returns:
        Perturbations (B, H, W, C) that meet the goal, zeros where none is known; known (B,).
    """
    start = clip(block.images, block.start, bounds)
    given = tf.reduce_any(start != 0, axis=(1, 2, 3))
    if not tf.reduce_any(given):
        return tf.zeros_like(start), given
    given &= meets(model, block.criterion, block.images + start, block.classes)
    return tf.where(per_image(given), start, 0.0), given
