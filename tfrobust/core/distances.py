"""Distances between images, and the arithmetic that all walks around an image share."""

import tensorflow as tf

# The lowest and the highest value that a pixel of an attacked image may have.
Bounds = tuple[float, float]


def per_image(values: tf.Tensor) -> tf.Tensor:
    """(B,) → (B, 1, 1, 1), to go with images."""
    return values[:, None, None, None]


def rmse(delta: tf.Tensor) -> tf.Tensor:
    """Root of the mean square over each image's values: (B, H, W, C) → (B,)."""
    return tf.sqrt(tf.reduce_mean(tf.square(delta), axis=(1, 2, 3)))


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


def clip(images: tf.Tensor, delta: tf.Tensor, bounds: Bounds | None) -> tf.Tensor:
    """The perturbation cut so that images + delta stays within the bounds, if there are any."""
    return delta if bounds is None else tf.clip_by_value(images + delta, *bounds) - images
