"""Planes in the space of perturbations, one for each image, and their points nearest to 0."""

import tensorflow as tf

from tfrobust.core.bounds import Bounds
from tfrobust.core.distances import per_image

# Halvings that find a point of a plane within bounds. 2^−20 of the way is below float32's noise.
HALVINGS = 20
# Two planes whose normals have a cosine below this are taken for two faces of a fold.
FOLDED = 0.5


def dot(one: tf.Tensor, other: tf.Tensor) -> tf.Tensor:
    """Each image's inner product: (B, H, W, C) twice → (B,)."""
    return tf.reduce_sum(one * other, axis=(1, 2, 3))


def length(vectors: tf.Tensor) -> tf.Tensor:
    """Each image's L2 norm: (B, H, W, C) → (B,)."""
    return tf.sqrt(dot(vectors, vectors))


def nearest_within(
    bounds: Bounds, images: tf.Tensor, gradient: tf.Tensor, reach: tf.Tensor
) -> tf.Tensor:
    """The smallest δ with gradient·δ = reach and images + δ within bounds, or as close as it gets.

    It has the form clip(λ·gradient) for one λ for each image, and gradient·δ grows with λ.
    """
    low, high = bounds[0] - images, bounds[1] - images
    steep = tf.reduce_max(tf.abs(gradient), axis=(1, 2, 3)) + 1e-20
    plain = reach / (dot(gradient, gradient) + 1e-20)
    # From the λ that would do without bounds to one that moves all pixels to an end, nearly.
    inner, outer = plain, tf.sign(reach) * tf.maximum(tf.abs(plain) * 1e3, 1.0 / steep)
    for _ in range(HALVINGS):
        # Geometric, as the two ends lie decades apart.
        middle = tf.sign(reach) * tf.sqrt(tf.abs(inner * outer))
        moved = dot(gradient, tf.clip_by_value(per_image(middle) * gradient, low, high))
        short = tf.abs(moved) < tf.abs(reach)
        inner, outer = tf.where(short, middle, inner), tf.where(short, outer, middle)
    return tf.clip_by_value(per_image(outer) * gradient, low, high)


def nearest_edge(
    normal: tf.Tensor,
    reach: tf.Tensor,
    other: tf.Tensor,
    other_reach: tf.Tensor,
    nearest: tf.Tensor,
) -> tuple[tf.Tensor, tf.Tensor]:
    """The smallest δ beyond two planes, normal·δ ≤ reach and other·δ ≤ other_reach.

    Args:
        normal: float32 (B, H, W, C), of the first plane.
        reach: float32 (B,).
        other: float32 (B, H, W, C), of the second plane.
        other_reach: float32 (B,).
        nearest: float32 (B, H, W, C), the first plane's point nearest to 0.

    Returns:
        float32 (B, H, W, C), the point where both planes meet that is nearest to 0; and bool (B,),
        whether it is the smallest δ, and the planes are two faces of a fold. Else a point of one
        of the planes is the smallest, the planes are nearly one, or 0 is beyond the first.
    """
    first, both, second = dot(normal, normal), dot(normal, other), dot(other, other)
    # At the edge δ = −a·normal − b·other, with a, b ≥ 0 where both planes hold it back.
    determinant = first * second - both * both + 1e-6 * first * second + 1e-30
    a = (both * other_reach - second * reach) / determinant
    b = (both * reach - first * other_reach) / determinant
    edge = -per_image(a) * normal - per_image(b) * other
    misses = dot(other, nearest) > other_reach
    # The second plane's nearest point must miss the first plane, too.
    misses &= both * tf.minimum(other_reach, 0.0) > reach * second
    faces = both < FOLDED * tf.sqrt(first * second)
    return edge, misses & faces & (a >= 0) & (b >= 0) & (reach < 0)
