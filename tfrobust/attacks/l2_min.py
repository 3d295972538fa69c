"""The paper's attack: a walk of shrinking steps that goes back whenever its goal is met.

Algorithm 1 of Woods et al., arXiv 1906.02896 ("L2,min"). The pieces of the walk are
functions, because adversarial training and the explanations walk the same way.
"""

import numpy as np
import tensorflow as tf

from tfrobust.attacks.base import Attack, Block
from tfrobust.core.criteria import Criterion
from tfrobust.core.distances import Bounds, clip, per_image, rmse
from tfrobust.core.gradients import input_gradient
from tfrobust.core.opaque import Model
from tfrobust.errors import InputError


def step_lengths(steps: int, path: float) -> np.ndarray:
    """Lengths that shrink linearly and sum to `path`.

    Args:
        steps: S, at least 1.
        path: ε·o, the sum of all lengths, as RMSE in units of pixels from 0 to 1.

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
    """One step of the walk: along the gradient, or back to the image where the goal is met.

    Args:
        delta: float (B, H, W, C), where the walk stands.
        velocity: float (B, H, W, C), the smoothed direction.
        gradient: float (B, H, W, C), which way the objective rises.
        met: bool (B,).
        length: float scalar, the step's RMSE.
        momentum: from 0 (none) to below 1.

    Returns:
        The new delta and velocity.
    """
    direction = tf.where(per_image(met), -delta, gradient)
    direction /= per_image(rmse(direction) + 1e-8)
    velocity = momentum * velocity + (1.0 - momentum) * direction
    return delta + length * velocity, velocity


# Model and criterion are arguments, not closures: TensorFlow keeps one program for each pair and
# each shape, whichever attack object asks.
@tf.function(jit_compile=True)
def _visit(
    model: Model,
    criterion: Criterion,
    momentum: float,
    bounds: Bounds | None,
    images: tf.Tensor,
    classes: tf.Tensor,
    delta: tf.Tensor,
    velocity: tf.Tensor,
    best: tf.Tensor,
    best_size: tf.Tensor,
    length: tf.Tensor,
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
    """Judges where the walk stands, keeps it where it is the smallest, and takes a step."""
    logits, gradient = input_gradient(
        model, images + delta, lambda logits: criterion.loss(logits, classes)
    )
    met = criterion.met(logits, classes)
    size = rmse(delta)
    better = met & (size < best_size)
    best = tf.where(per_image(better), delta, best)
    best_size = tf.where(better, size, best_size)
    delta, velocity = advance(delta, velocity, gradient, met, length, momentum)
    delta = clip(images, delta, bounds)
    return delta, velocity, best, best_size


class L2Min(Attack):
    """The paper's attack for minimal perturbations.

    It resolves sizes to about 2e-4 RMSE only, and the figure is an upper bound: see
    `LinearizedMargin` for one that is often smaller.

    Args:
        steps: S; the published figures took 450.
        path: ε, the sum of all step lengths, RMSE in units of pixels from 0 to 1.
        momentum: m, from 0 to below 1.
        bounds: the lowest and highest value of an attacked pixel, as (0, 1); None for no bounds.
        batch_size: images computed at a time.

    Source: arXiv 1906.02896, Algorithm 1.
    """

    def __init__(
        self,
        *,
        steps: int = 450,
        path: float = 20.0,
        momentum: float = 0.9,
        bounds: Bounds | None = None,
        batch_size: int = 50,
    ) -> None:
        super().__init__(bounds=bounds, batch_size=batch_size)
        if steps < 1 or path <= 0 or not 0 <= momentum < 1:
            raise InputError(
                "expected steps of at least 1, a path above 0 and momentum from 0 to below 1, "
                f"got {steps}, {path}, {momentum}"
            )
        self.steps, self.path, self.momentum = steps, path, momentum

    @property
    def name(self) -> str:
        """E.g. "L2,min (450 steps)"."""
        return f"L2,min ({self.steps} steps)"

    def _run(self, model: Model, block: Block) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        images, classes, criterion = block.images, block.classes, block.criterion
        delta = velocity = best = tf.zeros_like(images)
        size = tf.fill(tf.shape(classes), np.float32(np.inf))
        found_by_half = np.zeros(len(classes), bool)
        # The last visit judges where the last step led; its own step goes nowhere.
        for visit, length in enumerate(np.append(step_lengths(self.steps, self.path), 0.0)):
            delta, velocity, best, size = _visit(
                model,
                criterion,
                self.momentum,
                self.bounds,
                images,
                classes,
                delta,
                velocity,
                best,
                size,
                tf.constant(length, tf.float32),
            )
            if visit == self.steps // 2:
                found_by_half = np.isfinite(size.numpy())
        found = np.isfinite(size.numpy())
        return best.numpy(), found, found & ~found_by_half
