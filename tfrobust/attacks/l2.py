"""What the walks in L2 share: norms, unit vectors, known beginnings, the last bisection."""

import tensorflow as tf

from tfrobust.attacks.base import Block, Model, meets
from tfrobust.attacks.criteria import Criterion
from tfrobust.attacks.paper import per_image


def norm(delta: tf.Tensor) -> tf.Tensor:
    """The L2 norm of each image's values, not divided by their number: (B, H, W, C) → (B,)."""
    return tf.norm(tf.reshape(delta, (tf.shape(delta)[0], -1)), axis=-1)


def unit(vectors: tf.Tensor) -> tf.Tensor:
    """Each image's vector at norm 1, or 0 where it is 0: (B, H, W, C) → the same.

    A confident network's gradients are so small that their squares are 0 in float32: the
    largest value is brought to 1 first.
    """
    largest = tf.reduce_max(tf.abs(vectors), axis=(1, 2, 3), keepdims=True)
    vectors = tf.math.divide_no_nan(vectors, largest)
    return tf.math.divide_no_nan(vectors, per_image(norm(vectors)))


def boxed(images: tf.Tensor, delta: tf.Tensor, box: bool) -> tf.Tensor:
    """The perturbation cut so that images + delta stays in [0, 1], if it has to."""
    return tf.clip_by_value(images + delta, 0.0, 1.0) - images if box else delta


def shortened(
    model: Model,
    goal: type[Criterion],
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
        met = meets(model, goal, images + per_image(middle) * delta, classes)
        short, long = tf.where(met, short, middle), tf.where(met, middle, long)
    return per_image(long) * delta


def known(model: Model, block: Block, box: bool) -> tuple[tf.Tensor, tf.Tensor]:
    """The perturbations that a block's attack may begin with.

    Args:
        model: gives logits for images.
        block: its start may be of an attack without a box, or of another model.
        box: whether images have to stay in [0, 1].

    Returns:
        Perturbations (B, H, W, C) that meet the goal, zeros where none is known; known (B,).
    """
    start = boxed(block.images, block.start, box)
    given = tf.reduce_any(start != 0, axis=(1, 2, 3))
    if not tf.reduce_any(given):
        return tf.zeros_like(start), given
    given &= meets(model, block.goal, block.images + start, block.classes)
    return tf.where(per_image(given), start, 0.0), given
