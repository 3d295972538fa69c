"""The fast gradient method."""

import dataclasses
from typing import Any

import numpy as np
import tensorflow as tf
from cleverhans.tf2.attacks.fast_gradient_method import fast_gradient_method

from tfrobust.attacks.cleverhans import UnitBallAttack


@dataclasses.dataclass(kw_only=True, eq=False)
class FGM(UnitBallAttack):
    """CleverHans' fast gradient method: one step along the gradient, its size bisected.

    Args:
        rounds: how many sizes are tried.
        norm: 2, or `numpy.inf` for the fast gradient sign method.
        line_steps: forward passes of a last search between the clean image and the smallest
            perturbation found.

    `bounds` and `batch_size` are those of every `Attack`.

    Source: Goodfellow et al., arXiv 1412.6572, as implemented by CleverHans.
    """

    steps: int = dataclasses.field(default=1, init=False)
    step_size: float | None = dataclasses.field(default=None, init=False)
    norm: float = np.inf

    def _offsets(self, share: float, **common: Any) -> tf.Tensor:
        return fast_gradient_method(eps=1.0, **common)
