"""The gradient of an objective with respect to the image."""

from collections.abc import Callable

import tensorflow as tf

from tfrobust.core.classifier import Model


def input_gradient(
    model: Model, images: tf.Tensor, objective: Callable[[tf.Tensor], tf.Tensor]
) -> tuple[tf.Tensor, tf.Tensor]:
    """Each image's gradient of its own objective.

    Args:
        model: images (B, H, W, C) → logits (B, K).
        images: float (B, H, W, C).
        objective: logits (B, K) → float (B,).

    Returns:
        The logits float (B, K), and the gradient in the shape of the images, zeros where the
        objective does not depend on them.
    """
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(images)
        logits = model(images)
        total = tf.reduce_sum(objective(logits))
    return logits, tape.gradient(total, images, unconnected_gradients="zero")
