"""Decoupled direction and norm: a walk on spheres that shrink while the goal is met, or grow."""

import math
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tfrobust.attacks.base import Attack, Block
from tfrobust.attacks.minimum_norm import shortened
from tfrobust.core.criteria import Criterion
from tfrobust.core.distances import Bounds, clip, norm, per_image, unit
from tfrobust.core.gradients import input_gradient
from tfrobust.core.opaque import Model
from tfrobust.errors import InputError

# The step's length shrinks to this share of the first one, by half a cosine.
LAST_STEP = 0.01


def cosine(first: float, last: float, position: float) -> float:
    """Half a cosine from `first` to `last`, while `position` goes from 0 to 1."""
    return last + (first - last) * (1 + math.cos(math.pi * position)) / 2


class _State(NamedTuple):
    """Where the walk stands (B, H, W, C), its sphere's radius (B,), and the smallest found."""

    delta: tf.Tensor
    radius: tf.Tensor
    best: tf.Tensor
    best_size: tf.Tensor


def advance(
    delta: tf.Tensor,
    radius: tf.Tensor,
    gradient: tf.Tensor,
    met: tf.Tensor,
    step: tf.Tensor,
    change: tf.Tensor,
) -> tuple[tf.Tensor, tf.Tensor]:
    """One step: along the gradient, then onto the sphere of the new radius.

    Args:
        delta: float (B, H, W, C), where the walk stands.
        radius: float (B,), L2 norm.
        gradient: float (B, H, W, C), which way the loss rises.
        met: bool (B,), whether the goal is met at delta.
        step: float scalar, the step's L2 norm.
        change: float scalar, γ: the radius becomes 1 − γ times as large, or 1 + γ.

    Returns:
        The new delta and radius.
    """
    delta += step * unit(gradient)
    radius *= tf.where(met, 1.0 - change, 1.0 + change)
    return per_image(radius) * unit(delta), radius


# Model and criterion are arguments, not closures: TensorFlow keeps one program for each pair and
# each shape, whichever attack object asks.
@tf.function(jit_compile=True)
def _visit(
    model: Model,
    criterion: Criterion,
    bounds: Bounds | None,
    images: tf.Tensor,
    classes: tf.Tensor,
    state: _State,
    step: tf.Tensor,
    change: tf.Tensor,
) -> _State:
    """Judges where the walk stands, keeps it where it is the smallest, and takes a step."""
    delta, radius, best, best_size = state
    logits, gradient = input_gradient(
        model, images + delta, lambda logits: criterion.loss(logits, classes)
    )
    met = criterion.met(logits, classes)
    size = norm(delta)
    better = met & (size < best_size)
    best = tf.where(per_image(better), delta, best)
    best_size = tf.where(better, size, best_size)
    delta, radius = advance(delta, radius, gradient, met, step, change)
    return _State(clip(images, delta, bounds), radius, best, best_size)


class DDN(Attack):
    """Decoupled direction and norm.

    The walk goes along the gradient of the goal's loss, scaled to a length of its own, and is
    put onto a sphere around the clean image that is 5 % smaller after a visit that met the
    goal, else 5 % larger. The paper's constants are L2 norms of pixels from 0 to 1 (RMSE times
    the root of H·W·C), whatever the size of the images. Pixels are not rounded to 8 bits.

    Args:
        steps: gradients taken per image.
        radius: of the first sphere, L2 norm.
        change: γ, by which share the sphere grows or shrinks, above 0 and below 1.
        step: the first step's L2 norm; the last one's is a hundredth.
        line_steps: forward passes of a last bisection, between the clean image and the best,
            which the paper does not have: its spheres lie 5 % apart.
        bounds: the lowest and highest value of an attacked pixel, as (0, 1); None for no bounds.
        batch_size: images computed at a time.

    Source: Rony et al., arXiv 1811.09600, Algorithm 1; the perturbation goes on from the
    sphere, as the text says.
    """

    def __init__(
        self,
        *,
        steps: int = 100,
        radius: float = 1.0,
        change: float = 0.05,
        step: float = 1.0,
        line_steps: int = 8,
        bounds: Bounds | None = None,
        batch_size: int = 50,
    ) -> None:
        super().__init__(bounds=bounds, batch_size=batch_size)
        if steps < 1 or line_steps < 0:
            raise InputError(
                "expected steps of at least 1 and line_steps not below 0, got "
                f"{steps}, {line_steps}"
            )
        if radius <= 0 or step <= 0 or not 0 < change < 1:
            raise InputError(
                "expected a radius and a step above 0 and a change above 0 and below 1, got "
                f"{radius}, {step}, {change}"
            )
        self.steps, self.radius, self.change, self.step = steps, radius, change, step
        self.line_steps = line_steps

    @property
    def name(self) -> str:
        """E.g. "DDN (100 steps)"."""
        return f"DDN ({self.steps} steps)"

    def _run(self, model: Model, block: Block) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        images, classes, criterion = block.images, block.classes, block.criterion
        zeros = tf.zeros_like(images)
        count = len(classes)
        state = _State(zeros, tf.fill([count], self.radius), zeros, tf.fill([count], np.inf))
        found_by_half = np.zeros(count, bool)
        # The last visit judges where the last step led; its own step goes nowhere.
        for visit in range(self.steps + 1):
            length = cosine(self.step, LAST_STEP * self.step, visit / self.steps)
            state = _visit(
                model,
                criterion,
                self.bounds,
                images,
                classes,
                state,
                tf.constant(length, tf.float32),
                tf.constant(self.change, tf.float32),
            )
            if visit == self.steps // 2:
                found_by_half = np.isfinite(state.best_size.numpy())
        found = np.isfinite(state.best_size.numpy())
        best = shortened(model, criterion, images, classes, state.best, self.line_steps)
        return best.numpy(), found, found & ~found_by_half
