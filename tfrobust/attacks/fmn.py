"""Fast minimum-norm: steps down the margin inside a ball that a plane's distance estimates."""

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tfrobust.attacks.base import Attack, Block
from tfrobust.attacks.ddn import cosine
from tfrobust.attacks.minimum_norm import known, shortened
from tfrobust.core.criteria import Criterion
from tfrobust.core.distances import Bounds, clip, norm, per_image, unit
from tfrobust.core.gradients import input_gradient
from tfrobust.core.opaque import Model
from tfrobust.errors import InputError

# Both the step's length and the ball's change shrink by half a cosine, to these shares.
LAST_STEP, LAST_CHANGE = 0.01, 0.02
# Before the goal was ever met the ball ends a little beyond the plane: on a flat boundary
# rounding would keep the walk on it for ever.
BEYOND = 1.001
# Halvings between the clean image and a known beginning, as in the paper.
BEGINNING = 10


class _State(NamedTuple):
    """Where the walk stands (B, H, W, C), its ball's radius (B,), and the smallest found."""

    delta: tf.Tensor
    radius: tf.Tensor
    best: tf.Tensor
    best_size: tf.Tensor


def new_radius(
    radius: tf.Tensor,
    size: tf.Tensor,
    margin: tf.Tensor,
    gradient: tf.Tensor,
    met: tf.Tensor,
    best_size: tf.Tensor,
    change: tf.Tensor,
) -> tf.Tensor:
    """The next ball.

    Args:
        radius: float (B,), the ball so far, L2 norm.
        size: float (B,), where the walk stands, L2 norm.
        margin: float (B,), there.
        gradient: float (B, H, W, C), the margin's, there.
        met: bool (B,), whether the goal is met there.
        best_size: float (B,), the smallest that met the goal, this visit's included; infinite
            where none did.
        change: float scalar, γ.

    Returns:
        float (B,): where the goal is met, 1 − γ times as large, or the smallest found if that is
        smaller; where it is not, 1 + γ times as large, or, before it ever was, up to just beyond
        the plane that margin and gradient describe.
    """
    plane = BEYOND * (size + margin / (norm(gradient) + 1e-20))
    grown = tf.where(tf.math.is_finite(best_size), radius * (1.0 + change), plane)
    return tf.where(met, tf.minimum(radius * (1.0 - change), best_size), grown)


def advance(delta: tf.Tensor, radius: tf.Tensor, gradient: tf.Tensor, step: tf.Tensor) -> tf.Tensor:
    """One step down the margin, then into the ball.

    Args:
        delta: float (B, H, W, C), where the walk stands.
        radius: float (B,), the ball, L2 norm.
        gradient: float (B, H, W, C), the margin's.
        step: float scalar, the step's L2 norm.

    Returns:
        The new delta.
    """
    delta -= step * unit(gradient)
    return delta * per_image(tf.minimum(1.0, radius / (norm(delta) + 1e-20)))


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
        model, images + delta, lambda logits: criterion.margin(logits, classes)
    )
    met = criterion.met(logits, classes)
    margin = criterion.margin(logits, classes)
    size = norm(delta)
    better = met & (size < best_size)
    best = tf.where(per_image(better), delta, best)
    best_size = tf.where(better, size, best_size)
    radius = new_radius(radius, size, margin, gradient, met, best_size, change)
    delta = advance(delta, radius, gradient, step)
    return _State(clip(images, delta, bounds), radius, best, best_size)


class FMN(Attack):
    """Fast minimum-norm, in L2.

    Steps of a length of their own go down the goal's margin inside a ball around the clean
    image. Its radius comes from the linearised margin until the goal is first met; then it
    shrinks a little after a visit that met it, else grows, ever more finely. It begins with a
    perturbation that is known to meet the goal, if there is one. The paper's constants are L2
    norms of pixels from 0 to 1 (RMSE times the root of H·W·C), whatever the size of the images.

    Args:
        steps: gradients taken per image.
        step: α, the first step's L2 norm; the last one's is a hundredth.
        change: γ, by which share the ball grows or shrinks at first, above 0 and below 1; a
            fiftieth of it at last.
        line_steps: forward passes of a last bisection, between the clean image and the best,
            which the paper does not have.
        bounds: the lowest and highest value of an attacked pixel, as (0, 1); None for no bounds.
        batch_size: images computed at a time.

    Source: Pintor et al., arXiv 2102.12827, Algorithm 1.
    """

    def __init__(
        self,
        *,
        steps: int = 100,
        step: float = 1.0,
        change: float = 0.05,
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
        if step <= 0 or not 0 < change < 1:
            raise InputError(
                f"expected a step above 0 and a change above 0 and below 1, got {step}, {change}"
            )
        self.steps, self.step, self.change, self.line_steps = steps, step, change, line_steps

    @property
    def name(self) -> str:
        """E.g. "FMN-L2 (100 steps)"."""
        return f"FMN-L2 ({self.steps} steps)"

    def _run(self, model: Model, block: Block) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        images, classes, criterion = block.images, block.classes, block.criterion
        delta, begun = known(model, block, self.bounds)
        if tf.reduce_any(begun):
            delta = shortened(model, criterion, images, classes, delta, BEGINNING)
        size = tf.where(begun, norm(delta), np.inf)
        state = _State(delta, size, delta, size)
        found_by_half = np.zeros(len(classes), bool)
        # The last visit judges where the last step led; its own step goes nowhere.
        for visit in range(self.steps + 1):
            share = visit / self.steps
            state = _visit(
                model,
                criterion,
                self.bounds,
                images,
                classes,
                state,
                tf.constant(cosine(self.step, LAST_STEP * self.step, share), tf.float32),
                tf.constant(cosine(self.change, LAST_CHANGE * self.change, share), tf.float32),
            )
            if visit == self.steps // 2:
                found_by_half = np.isfinite(state.best_size.numpy())
        found = np.isfinite(state.best_size.numpy())
        best = shortened(model, criterion, images, classes, state.best, self.line_steps)
        return best.numpy(), found, found & ~found_by_half
