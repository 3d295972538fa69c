"""Fast minimum-norm: steps down the margin inside a ball that shrinks and grows."""

import dataclasses
from typing import Any

import tensorflow as tf

from tfrobust.attacks.base import Block
from tfrobust.attacks.gradient_walk import GradientWalk, InBall, Visit, cosine
from tfrobust.attacks.line_search import shortened
from tfrobust.attacks.minimum_norm import Best
from tfrobust.core.classifier import Classifier
from tfrobust.core.criterion import Criterion
from tfrobust.core.distances import norm, per_image, unit
from tfrobust.errors import InputError

# The step's length and the ball's change both shrink by half a cosine, to these shares.
LAST_STEP, LAST_CHANGE = 0.01, 0.02
# Before the criterion was ever met the ball ends a little beyond the plane. On a flat boundary
# rounding would else keep the walk on it for ever.
BEYOND = 1.001
# Halvings between the clean image and a known beginning, as in the paper.
BEGINNING = 10


@dataclasses.dataclass(kw_only=True, eq=False)
class FMN(GradientWalk):
    """Fast minimum-norm, in L2.

    Steps go down the criterion's margin inside a ball around the clean image. Until the criterion
    is first met, the ball ends where the linearised margin is 0. Then it shrinks after a visit
    that met the criterion, and grows after another, more and more finely. The walk begins with a
    perturbation that is known to meet the criterion, if there is one. The paper's constants are
    L2 norms of pixels from 0 to 1, whatever the size of the images: RMSE times the root of H·W·C.

    Args:
        steps: gradients taken for each image.
        step_size: the first step's L2 norm, α in the paper; the last one's is a hundredth.
        change: by which share the ball grows or shrinks at first, γ in the paper, above 0 and
            below 1; at last by a fiftieth of it.
        line_steps: forward passes of a last search between the clean image and the smallest
            perturbation found, which the paper does not have.

    `bounds` and `batch_size` are those of every `Attack`.

    Source: Pintor et al., arXiv 2102.12827, Algorithm 1.
    """

    title = "FMN-L2"

    step_size: float = 1.0
    change: float = 0.05

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.step_size <= 0 or not 0 < self.change < 1:
            raise InputError(
                "expected a step_size above 0 and a change above 0 and below 1, got "
                f"{self.step_size}, {self.change}"
            )

    @property
    def judgements(self) -> int:
        """With the search that a known beginning takes."""
        return super().judgements + BEGINNING

    def init(self, model: Classifier, block: Block) -> tuple[InBall, Best]:
        """At the known perturbation, made shorter, or at the clean image."""
        best = self.known(model, block)
        given = tf.math.is_finite(best.size)
        if tf.reduce_any(given):
            delta = shortened(
                model, block.criterion, block.images, block.classes, best.delta, BEGINNING
            )
            best = Best(delta, tf.where(given, norm(delta), best.size))
        return InBall(best.delta, best.size), best

    def schedule(self, visit: int, state: Any) -> dict[str, float]:
        """The L2 norm of the step, and by which share the ball changes."""
        share = visit / self.steps
        return {
            "length": cosine(self.step_size, LAST_STEP * self.step_size, share),
            "change": cosine(self.change, LAST_CHANGE * self.change, share),
        }

    @staticmethod
    def objective(
        criterion: Criterion, logits: tf.Tensor, classes: tf.Tensor, state: InBall
    ) -> tf.Tensor:
        """The criterion's margin."""
        return criterion.margin(logits, classes)

    @staticmethod
    def advance(here: Visit, state: InBall, scheduled: dict[str, tf.Tensor]) -> InBall:
        """Down the margin, then into the new ball."""
        radius = new_radius(here, state.radius, scheduled["change"])
        delta = state.delta - scheduled["length"] * unit(here.gradient)
        return InBall(delta * per_image(tf.minimum(1.0, radius / (norm(delta) + 1e-20))), radius)


def new_radius(here: Visit, radius: tf.Tensor, change: tf.Tensor) -> tf.Tensor:
    """The next ball.

    Args:
        here: what was seen where the walk stands.
        radius: float32 (B,), the ball so far, as L2 norm.
        change: float32 scalar, γ.

    Returns:
        float32 (B,). Where the criterion is met: 1 − γ times as large, or the smallest
        perturbation found if that is smaller. Where it is not: 1 + γ times as large, or, before
        it ever was, up to just beyond the plane that margin and gradient describe.
    """
    plane = BEYOND * (here.size + here.value / (norm(here.gradient) + 1e-20))
    larger = radius * (1.0 + change)
    if here.bounds is not None:
        # Bounds hold a part of every step back: a ball that only goes to the plane would end short
        # of it for ever. The paper has no such growth.
        plane = tf.where(tf.math.is_finite(radius), tf.maximum(plane, larger), plane)
    grown = tf.where(tf.math.is_finite(here.best.size), larger, plane)
    return tf.where(here.met, tf.minimum(radius * (1.0 - change), here.best.size), grown)
