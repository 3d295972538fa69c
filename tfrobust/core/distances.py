"""Distances between images, and the arithmetic that all walks around an image share."""

import numpy as np
import tensorflow as tf

from tfrobust.core.bounds import Bounds


def per_image(values: tf.Tensor) -> tf.Tensor:
    """Values (B,) in the shape (B, 1, 1, 1), to be multiplied with images."""
    return values[:, None, None, None]


def rmse(delta: tf.Tensor) -> tf.Tensor:
    """The size of perturbations as the root of the mean square over each image's values.

    Args:
        delta: float (B, H, W, C).

    Returns:
        float (B,), in units of the pixels.
    """
    return tf.sqrt(tf.reduce_mean(tf.square(delta), axis=(1, 2, 3)))


def rmse64(delta: np.ndarray) -> np.ndarray:
    """`rmse` of an array (N, H, W, C), computed in float64: → float64 (N,)."""
    return np.sqrt(np.mean(np.square(delta, dtype=np.float64), axis=(1, 2, 3)))


def norm(delta: tf.Tensor) -> tf.Tensor:
    """The size of perturbations as L2 norm, which is RMSE times the root of H·W·C.

    Args:
        delta: float (B, H, W, C).

    Returns:
        float (B,), in units of the pixels.
    """
    return tf.norm(tf.reshape(delta, (tf.shape(delta)[0], -1)), axis=-1)


def unit(vectors: tf.Tensor) -> tf.Tensor:
    """Vectors scaled to L2 norm 1.

    The gradients of a confident network are so small that their squares are 0 in float32. So each
    vector's largest value is brought to 1 before they are squared.

    Args:
        vectors: float (B, H, W, C), one vector for each image.

    Returns:
        float (B, H, W, C); 0 where a vector is 0.
    """
    largest = tf.reduce_max(tf.abs(vectors), axis=(1, 2, 3), keepdims=True)
    vectors = tf.math.divide_no_nan(vectors, largest)
    return tf.math.divide_no_nan(vectors, per_image(norm(vectors)))


def clip(images: tf.Tensor, delta: tf.Tensor, bounds: Bounds | None) -> tf.Tensor:
    """Cuts perturbations so that the perturbed images stay within bounds.

    Args:
        images: float (B, H, W, C).
        delta: float (B, H, W, C).
        bounds: the lowest and the highest value of a perturbed pixel; None for no bounds.

    Returns:
        float (B, H, W, C), the perturbations.
    """
    return delta if bounds is None else tf.clip_by_value(images + delta, *bounds) - images
