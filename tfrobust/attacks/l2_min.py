"""The paper's attack: a walk of shrinking steps that goes back whenever its criterion is met."""

import dataclasses
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from tfrobust.attacks import walk
from tfrobust.attacks.base import Block
from tfrobust.attacks.gradient_walk import GradientWalk, Visit
from tfrobust.attacks.minimum_norm import Best
from tfrobust.core.classifier import Classifier
from tfrobust.core.distances import rmse
from tfrobust.errors import InputError


class _State(NamedTuple):
    """Where the walk stands and its smoothed direction, both (B, H, W, C)."""

    delta: tf.Tensor
    velocity: tf.Tensor


@dataclasses.dataclass(kw_only=True, eq=False)
class L2Min(GradientWalk):
    """The paper's attack for minimal perturbations ("L2,min").

    It resolves sizes to about 2e-4 RMSE, and what it finds is an upper bound. `LinearizedMargin`
    often finds smaller perturbations.

    Args:
        steps: gradients taken for each image, S in the paper; the published figures took 450.
        path: the sum of all step lengths, ε in the paper, as RMSE in units of pixels from 0 to 1.
        momentum: how much of the direction so far is kept at each step, from 0 to below 1.
        line_steps: forward passes of a last search between the clean image and the smallest
            perturbation found; the paper has none.

    `bounds` and `batch_size` are those of every `Attack`.

    Source: Woods et al., arXiv 1906.02896, Algorithm 1.
    """

    title = "L2,min"
    size = staticmethod(rmse)

    steps: int = 450
    path: float = 20.0
    momentum: float = 0.9
    line_steps: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.path <= 0 or not 0 <= self.momentum < 1:
            raise InputError(
                "expected a path above 0 and momentum from 0 to below 1, got "
                f"{self.path}, {self.momentum}"
            )

    def init(self, model: Classifier, block: Block) -> tuple[_State, Best]:
        """At the clean image."""
        zeros = tf.zeros_like(block.images)
        return _State(zeros, zeros), Best.none(block.images)

    def schedule(self, visit: int, state: Any) -> dict[str, float]:
        """The length of the step, which shrinks to 0."""
        lengths = np.append(walk.step_lengths(self.steps, self.path), np.float32(0))
        return {"length": float(lengths[visit]), "momentum": self.momentum}

    @staticmethod
    def advance(here: Visit, state: _State, scheduled: dict[str, Any]) -> _State:
        """Up the loss, or back towards the image where the criterion is met."""
        return _State(*walk.advance(*state, here.gradient, here.met, **scheduled))
