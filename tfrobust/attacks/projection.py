"""Minimal perturbations by successive linearisation of the margin.

Each step takes the margin for the plane that its value and gradient describe, finds the point
of that plane's zero nearest to the clean image, and goes part of the way. The idea is
DeepFool's (arXiv 1511.04599) with FAB's pull towards the clean image (arXiv 1907.02044).
Unlike walks on the cross-entropy, it does not depend on how confident the network is.
"""

import numpy as np
import tensorflow as tf

from tfrobust.attacks.base import Attack, Block, Model
from tfrobust.attacks.criteria import Criterion
from tfrobust.attacks.paper import input_gradient, per_image, rmse
from tfrobust.errors import InputError

# Aim a little beyond the boundary, or the walk ends just before it.
OVERSHOOT = 1.02
# No step aims farther than this from the clean image: a flat margin's zero is nowhere near.
FARTHEST = 0.5


@tf.function(jit_compile=True)
def _visit(
    model: Model,
    goal: type[Criterion],
    box: bool,
    images: tf.Tensor,
    classes: tf.Tensor,
    delta: tf.Tensor,
    best: tf.Tensor,
    best_size: tf.Tensor,
    damping: tf.Tensor,
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Judges where the search stands, keeps the smallest, and goes on towards the boundary."""
    margin = tf.zeros_like(best_size)

    def objective(logits: tf.Tensor) -> tf.Tensor:
        nonlocal margin
        margin = goal.margin(logits, classes)
        return margin

    logits, gradient = input_gradient(model, images + delta, objective)
    size = rmse(delta)
    better = goal.met(logits, classes) & (size < best_size)
    best = tf.where(per_image(better), delta, best)
    best_size = tf.where(better, size, best_size)
    # The plane margin + g·(δ' − δ) = 0 is nearest to δ' = 0 at g·(g·δ − margin)/|g|².
    along = tf.reduce_sum(gradient * delta, axis=(1, 2, 3))
    steepness = tf.reduce_sum(tf.square(gradient), axis=(1, 2, 3))
    aim = gradient * per_image(OVERSHOOT * (along - margin) / (steepness + 1e-20))
    aim *= per_image(tf.minimum(1.0, FARTHEST / (rmse(aim) + 1e-20)))
    delta += damping * (aim - delta)
    if box:
        delta = tf.clip_by_value(images + delta, 0.0, 1.0) - images
    return delta, best, best_size


@tf.function(jit_compile=True)
def _met(model: Model, goal: type[Criterion], images: tf.Tensor, classes: tf.Tensor) -> tf.Tensor:
    return goal.met(model(images), classes)


class Projection(Attack):
    """Minimal perturbations by successive linearisation of the margin.

    Args:
        steps: gradients taken; the damping falls from 1 to 0.2 over them.
        line_steps: forward passes of the last bisection, between the clean image and the best.
        box: whether adversarial images stay in [0, 1].
        block: images computed at a time.
    """

    def __init__(
        self, *, steps: int = 40, line_steps: int = 8, box: bool = False, block: int = 50
    ) -> None:
        super().__init__(box=box, block=block)
        if steps < 1 or line_steps < 0:
            raise InputError(
                f"expected steps above 0 and line_steps not below 0, got {steps}, {line_steps}"
            )
        self.steps, self.line_steps = steps, line_steps

    @property
    def name(self) -> str:
        """E.g. "projection (40 steps)"."""
        return f"projection ({self.steps} steps)"

    def _run(self, model: Model, block: Block) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        images, classes, goal = block.images, block.classes, block.goal
        delta = best = tf.zeros_like(images)
        size = tf.fill(tf.shape(classes), np.float32(np.inf))
        for damping in np.append(np.linspace(1.0, 0.2, self.steps), 0.0):
            delta, best, size = _visit(
                model,
                goal,
                self.box,
                images,
                classes,
                delta,
                best,
                size,
                tf.constant(damping, tf.float32),
            )
        # Along the line to the best point the boundary may lie a little nearer still.
        short, long = np.zeros(len(classes), np.float32), np.ones(len(classes), np.float32)
        for _ in range(self.line_steps):
            middle = (short + long) / 2
            met = _met(model, goal, images + best * per_image(tf.constant(middle)), classes).numpy()
            short, long = np.where(met, short, middle), np.where(met, middle, long)
        found = np.isfinite(size.numpy())
        return (best * per_image(tf.constant(long))).numpy(), found, np.zeros_like(found)
