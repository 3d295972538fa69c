"""The Carlini-Wagner attack in L2."""

import dataclasses
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from cleverhans.tf2.attacks.carlini_wagner_l2 import CarliniWagnerL2

from tfrobust.attacks.base import Block, at_least, meets
from tfrobust.attacks.cleverhans import Constants, MarginModel, ResetAdam
from tfrobust.attacks.minimum_norm import Best, MinimumNormAttack
from tfrobust.core.classifier import Classifier
from tfrobust.core.criterion import Criterion
from tfrobust.core.distances import clip, norm
from tfrobust.errors import InputError

# The attack needs bounds. Without any, pixels may go as far beyond [0, 1] as it is wide.
WIDE = (-1.0, 2.0)
# CleverHans judges in a program of its own, where rounding differs on the boundary itself.
BEYOND = (1.0, 1.0001, 1.001)
# The constant of an image that was never attacked successfully grows this fast.
GROWTH = 10.0


class _State(NamedTuple):
    """The constants to try next, and their brackets, float64 (B,)."""

    constants: np.ndarray
    below: np.ndarray
    above: np.ndarray


@dataclasses.dataclass(kw_only=True, eq=False)
class CarliniWagner(MinimumNormAttack):
    """CleverHans' Carlini-Wagner attack, whose constant is bisected for each image.

    Adam minimises |δ|² + c·max(0, margin) in coordinates whose tanh are the pixels. The margin is
    the criterion's own: f_y − max of the others for `Misclassified`, the log odds over a guess's
    for `BelowChance`.

    Of CleverHans 4.0.0 only the walk is used. Its own search for the constant c lowers c ever
    after the first success, whether or not later walks succeed, and its early end looks at the
    sum over a batch.

    The coordinates know no pixels outside bounds. Where none are given they are −1 and 2, which
    the result may not leave. With (0, 1), pixels at 0 or 1 hardly move, because the tanh is flat
    there: images with a black background are attacked less well.

    Args:
        steps: gradients of each walk.
        searches: walks, each with another constant.
        rate: Adam's learning rate.
        constant: the first constant c; it grows tenfold until a walk succeeds, and is then
            bisected.
        line_steps: forward passes of a last search between the clean image and the smallest
            perturbation found, which the paper does not have.

    `bounds` and `batch_size` are those of every `Attack`.

    Source: Carlini and Wagner, arXiv 1608.04644, as implemented by CleverHans.
    """

    searches: int = 9
    rate: float = 0.01
    constant: float = 1.0
    _walk: Any = dataclasses.field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(1, searches=self.searches)
        if self.rate <= 0 or self.constant <= 0:
            raise InputError(
                f"expected a rate and a constant above 0, got {self.rate}, {self.constant}"
            )

    @property
    def name(self) -> str:
        """E.g. "CleverHans CW-L2 (9 × 100 steps)"."""
        return f"CleverHans CW-L2 ({self.searches} × {self.steps} steps)"

    @property
    def visits(self) -> int:
        """One for each walk."""
        return self.searches

    @property
    def gradients(self) -> int:
        """Those of all walks."""
        return self.searches * self.steps

    @property
    def judgements(self) -> int:
        """With those a little beyond where each walk ended."""
        return super().judgements + self.searches * len(BEYOND)

    def init(self, model: Classifier, block: Block) -> tuple[_State, Best]:
        """With the first constant."""
        count = len(block.classes)
        first = np.full(count, self.constant)
        return _State(first, np.zeros(count), np.full(count, np.inf)), self.known(model, block)

    def step(
        self, model: Classifier, block: Block, state: _State, best: Best, visit: int
    ) -> tuple[_State, Best]:
        """One walk of CleverHans, and the next constants."""
        walk = self._prepared(model, block.criterion, len(block.classes))
        walk.model_fn.classes.assign(block.classes)
        walk.initial_const = Constants(state.constants)
        images = block.images.numpy()
        delta = tf.constant(walk.attack(images) - images)
        success = np.zeros(len(images), bool)
        for beyond in BEYOND:
            longer = clip(block.images, np.float32(beyond) * delta, self.bounds)
            met = meets(model, block.criterion, block.images + longer, block.classes)
            best = best.or_smaller(longer, tf.where(met, norm(longer), np.inf))
            success |= met.numpy()
        above = np.where(success, state.constants, state.above)
        below = np.where(success, state.below, state.constants)
        constants = np.where(np.isinf(above), GROWTH * state.constants, (below + above) / 2)
        return _State(constants, below, above), best

    def _prepared(self, model: Classifier, criterion: Criterion, count: int) -> Any:
        """CleverHans' attack, made once: it compiles a program for each attack object."""
        walk = self._walk
        if walk is None or (walk.model_fn.model, walk.model_fn.criterion, walk.batch_size) != (
            model,
            criterion,
            count,
        ):
            low, high = self.bounds or WIDE
            walk = self._walk = CarliniWagnerL2(
                MarginModel(model, criterion, count),
                y=np.ones(count, np.int32),  # classes that are given are targets
                batch_size=count,
                clip_min=low,
                clip_max=high,
                binary_search_steps=1,
                max_iterations=self.steps,
                abort_early=False,
                learning_rate=self.rate,
            )
            walk.optimizer = ResetAdam(self.rate)
        return walk
