"""Minimal perturbations in L1: few values change, each a lot."""

import dataclasses
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from tfrobust.attacks.base import Block
from tfrobust.attacks.gradient_walk import GradientWalk, Visit
from tfrobust.attacks.minimum_norm import Best
from tfrobust.core.bounds import Bounds
from tfrobust.core.classifier import Classifier
from tfrobust.core.criterion import Criterion
from tfrobust.core.distances import per_image
from tfrobust.errors import InputError

# Share of the margin that a step closes by the linear model, at first and at last: at first the
# model is only good nearby, and at last the step aims a little beyond the boundary.
FIRST, LAST = 0.2, 1.05
# Share of what the change is worth that is given back beyond the slack, at first: the next steps
# spend it on values that are worth more.
SWAPPED = 0.2
# Share of what the change is worth that steps keep as a distance from the boundary: within
# rounding of it, another program would decide otherwise.
BEYOND = 1e-3


class Sparse(NamedTuple):
    """Where the walk stands (B, H, W, C), and 1 where it may change values, (B, H, W, C)."""

    delta: tf.Tensor
    allowed: tf.Tensor


@dataclasses.dataclass(kw_only=True, eq=False)
class SparseL1(GradientWalk):
    """Minimal perturbations in L1 norm, within bounds, and within a region if one is given.

    Where the criterion is not met, the values with the largest gradient go all the way to their
    bound, as many as the linear model of the margin asks for: that is the smallest L1 change of
    that model. Where it is met, the values that are worth the least are given back.

    Args:
        steps: gradients taken for each image.
        region: bool (H, W), where pixels may change; None for everywhere.
        bounds: the lowest and the highest value of an attacked pixel. Without bounds one value
            would do it all.
        line_steps: forward passes of a last search between the clean image and the smallest
            perturbation found.

    `batch_size` is that of every `Attack`.

    Raises:
        InputError: no bounds, or a region that is no array of bool (H, W).

    Source: our own; the linear model's answer is that of SparseFool, arXiv 1811.02248, section 3.
    """

    title = "sparse L1"
    # Its later steps only refine what it has found.
    tells_late = False

    steps: int = 60
    bounds: Bounds | None = (0.0, 1.0)
    region: Any = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.bounds is None:
            raise InputError("expected bounds such as (0, 1): without, one value would do it all")
        if self.region is not None:
            self.region = np.asarray(self.region)
            if self.region.ndim != 2 or self.region.dtype != bool or not self.region.any():
                raise InputError(
                    "expected a region as bool (H, W), True where pixels may change, got "
                    f"{self.region.dtype} of shape {self.region.shape} with "
                    f"{np.count_nonzero(self.region)} such pixels"
                )

    @staticmethod
    def size(delta: tf.Tensor) -> tf.Tensor:
        """The L1 norm: the sum of all changes, float32 (B,)."""
        return tf.reduce_sum(tf.abs(delta), axis=(1, 2, 3))

    @staticmethod
    def objective(
        criterion: Criterion, logits: tf.Tensor, classes: tf.Tensor, state: Any
    ) -> tf.Tensor:
        """The criterion's margin."""
        return criterion.margin(logits, classes)

    def init(self, model: Classifier, block: Block) -> tuple[Sparse, Best]:
        """At the clean image, or what is known where no region forbids it."""
        shape = block.images.shape
        if self.region is None:
            return Sparse(tf.zeros(shape), tf.ones(shape)), self.known(model, block)
        if self.region.shape != tuple(shape[1:3]):
            raise InputError(
                f"expected a region of the images' {shape[1]} × {shape[2]} pixels, got one of "
                f"{self.region.shape}"
            )
        allowed = np.broadcast_to(self.region[None, :, :, None], shape).astype(np.float32)
        return Sparse(tf.zeros(shape), tf.constant(allowed)), Best.none(block.images)

    def schedule(self, visit: int, state: Any) -> dict[str, float]:
        """The share of the margin that is closed, and the share that is swapped."""
        position = visit / self.steps
        return {
            "closed": FIRST + (LAST - FIRST) * min(1.0, 2 * position),
            "swapped": SWAPPED * (1 - position),
        }

    @staticmethod
    def advance(here: Visit, state: Sparse, scheduled: dict[str, tf.Tensor]) -> Sparse:
        """Changes the values that are worth the most, or gives back those worth the least."""
        delta, gradient = state.delta, here.gradient * state.allowed
        low, high = here.bounds or (0.0, 1.0)
        pixels = here.images + delta
        room = tf.where(gradient > 0, low - pixels, high - pixels)  # what lowers the margin
        # Giving a value back raises the margin by this much; by less than nothing is welcome.
        worth = -gradient * delta
        whole = tf.reduce_sum(tf.maximum(worth, 0.0), axis=(1, 2, 3))
        needed = scheduled["closed"] * tf.maximum(here.value, 0.0) + BEYOND * whole
        taken = _first(-gradient * room, tf.abs(gradient), needed)
        forth = tf.where(gradient == 0, 0.0, room * taken)
        slack = tf.maximum(-here.value, 0.0) + (scheduled["swapped"] - BEYOND) * whole
        each = tf.math.divide_no_nan(worth, tf.abs(delta))
        back = -delta * _first(tf.maximum(worth, 0.0), tf.where(delta == 0, -np.inf, -each), slack)
        return Sparse(delta + tf.where(per_image(here.met), back, forth), state.allowed)


def _first(effects: tf.Tensor, ranks: tf.Tensor, needed: tf.Tensor) -> tf.Tensor:
    """Which values it takes until their effects sum up to what is needed, the highest ranks first.

    Args:
        effects: float32 (B, H, W, C), not below 0.
        ranks: float32 (B, H, W, C).
        needed: float32 (B,).

    Returns:
        float32 (B, H, W, C), 1 for the values that are taken, a share for the last one, else 0.
    """
    flat = tf.reshape(effects, (effects.shape[0], -1))
    order = tf.argsort(tf.reshape(ranks, flat.shape), direction="DESCENDING")
    ordered = tf.gather(flat, order, batch_dims=1)
    left = needed[:, None] - tf.cumsum(ordered, axis=1, exclusive=True)
    share = tf.where(ordered > 0, left / tf.maximum(ordered, 1e-30), tf.sign(left))
    taken = tf.clip_by_value(share, 0.0, 1.0)
    return tf.reshape(tf.gather(taken, tf.argsort(order), batch_dims=1), effects.shape)
