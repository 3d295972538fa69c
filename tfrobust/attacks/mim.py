"""The momentum iterative method."""

import dataclasses
from typing import Any

import numpy as np
import tensorflow as tf
from cleverhans.tf2.attacks.momentum_iterative_method import momentum_iterative_method

from tfrobust.attacks.cleverhans import UnitBallAttack
from tfrobust.errors import InputError


@dataclasses.dataclass(kw_only=True, eq=False)
class MIM(UnitBallAttack):
    """CleverHans' momentum iterative method, in balls whose size is bisected for each image.

    Args:
        steps: gradients of each attack.
        rounds: how many sizes are tried.
        norm: `numpy.inf` or 2.
        decay: how much of the sum of gradients so far, each of mean 1, is kept at each step, μ in
            the paper; not below 0.
        step_size: a step's length as a share of the radius, above 0 and at most 1; None for
            2.5/steps. The paper's 1/steps hardly ever leads to the ball's surface.
        line_steps: forward passes of a last search between the clean image and the smallest
            perturbation found.

    `bounds` and `batch_size` are those of every `Attack`.

    Source: Dong et al., arXiv 1710.06081, as implemented by CleverHans.
    """

    norm: float = np.inf
    decay: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.decay < 0:
            raise InputError(f"expected a decay not below 0, got {self.decay}")

    def _offsets(self, share: float, **common: Any) -> tf.Tensor:
        return momentum_iterative_method(
            eps=1.0, eps_iter=share, nb_iter=self.steps, decay_factor=self.decay, **common
        )
