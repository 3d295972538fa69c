"""Decoupled direction and norm: spheres that shrink while the criterion is met, or else grow."""

import dataclasses
from typing import Any

import tensorflow as tf

from tfrobust.attacks.base import Block
from tfrobust.attacks.gradient_walk import GradientWalk, InBall, Visit, cosine
from tfrobust.attacks.minimum_norm import Best
from tfrobust.core.classifier import Classifier
from tfrobust.core.distances import per_image, unit
from tfrobust.errors import InputError

# The step's length shrinks to this share of the first one, by half a cosine.
LAST_STEP = 0.01


@dataclasses.dataclass(kw_only=True, eq=False)
class DDN(GradientWalk):
    """Decoupled direction and norm.

    A step goes along the gradient of the criterion's loss. Then the perturbation is scaled to a
    sphere around the clean image, which is 5 % smaller after a visit that met the criterion, and
    5 % larger after another. The paper's constants are L2 norms of pixels from 0 to 1, whatever
    the size of the images: RMSE times the root of H·W·C. Pixels are not rounded to 8 bits.

    Args:
        steps: gradients taken for each image.
        radius: the first sphere's, as L2 norm.
        change: by which share the sphere grows or shrinks, γ in the paper, above 0 and below 1.
        step_size: the first step's L2 norm; the last one's is a hundredth.
        line_steps: forward passes of a last search between the clean image and the smallest
            perturbation found, which the paper does not have: its spheres lie 5 % apart.

    `bounds` and `batch_size` are those of every `Attack`.

    Source: Rony et al., arXiv 1811.09600, Algorithm 1. The perturbation goes on from the sphere,
    as the paper's text says.
    """

    title = "DDN"

    radius: float = 1.0
    change: float = 0.05
    step_size: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.radius <= 0 or self.step_size <= 0 or not 0 < self.change < 1:
            raise InputError(
                "expected a radius and a step_size above 0 and a change above 0 and below 1, got "
                f"{self.radius}, {self.step_size}, {self.change}"
            )

    def init(self, model: Classifier, block: Block) -> tuple[InBall, Best]:
        """At the clean image."""
        radius = tf.fill([len(block.classes)], self.radius)
        return InBall(tf.zeros_like(block.images), radius), Best.none(block.images)

    def schedule(self, visit: int, state: Any) -> dict[str, float]:
        """The L2 norm of the step, and by which share the sphere changes."""
        return {
            "length": cosine(self.step_size, LAST_STEP * self.step_size, visit / self.steps),
            "change": self.change,
        }

    @staticmethod
    def advance(here: Visit, state: InBall, scheduled: dict[str, tf.Tensor]) -> InBall:
        """Along the gradient, then onto the new sphere."""
        delta = state.delta + scheduled["length"] * unit(here.gradient)
        change = scheduled["change"]
        radius = state.radius * tf.where(here.met, 1.0 - change, 1.0 + change)
        return InBall(per_image(radius) * unit(delta), radius)
