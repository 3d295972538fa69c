"""The paper's walk: steps of shrinking length, and a step back whenever its stop rule holds.

The attack `L2Min`, adversarial training and the adversarial explanations walk this way, each
with a stop rule of its own: Algorithm 1 of Woods et al., arXiv 1906.02896.
"""

import numpy as np
import tensorflow as tf

from tfrobust.core.distances import per_image, rmse


def step_lengths(steps: int, path: float) -> np.ndarray:
    """Lengths that shrink linearly and sum to `path`.

    Args:
        steps: S, at least 1.
        path: the sum of all lengths, as RMSE in units of pixels from 0 to 1.

    Returns:
        float32 (S,): path·(S − t)/(S(S + 1)/2) for t = 0 … S − 1.
    """
    remaining = np.arange(steps, 0, -1, dtype=np.float64)
    return (path * remaining / remaining.sum()).astype(np.float32)


def advance(
    delta: tf.Tensor,
    velocity: tf.Tensor,
    gradient: tf.Tensor,
    met: tf.Tensor,
    length: tf.Tensor,
    momentum: float,
) -> tuple[tf.Tensor, tf.Tensor]:
    """One step: along the gradient, or back towards the image where the stop rule holds.

    Args:
        delta: float (B, H, W, C), where the walk stands.
        velocity: float (B, H, W, C), the smoothed direction.
        gradient: float (B, H, W, C), which way the objective rises.
        met: bool (B,), whether the stop rule holds.
        length: float scalar, the step's RMSE.
        momentum: from 0 (none) to below 1.

    Returns:
        The new delta and velocity.
    """
    direction = tf.where(per_image(met), -delta, gradient)
    direction /= per_image(rmse(direction) + 1e-8)
    velocity = momentum * velocity + (1.0 - momentum) * direction
    return delta + length * velocity, velocity
