"""Projected gradient descent."""

import dataclasses
from typing import Any

import tensorflow as tf
from cleverhans.tf2.attacks.projected_gradient_descent import projected_gradient_descent

from tfrobust.attacks.cleverhans import UnitBallAttack


@dataclasses.dataclass(kw_only=True, eq=False)
class PGD(UnitBallAttack):
    """CleverHans' projected gradient descent, in balls whose size is bisected for each image.

    It begins at the clean image.

    Args:
        steps: gradients of each attack.
        rounds: how many sizes are tried.
        norm: 2 or `numpy.inf`.
        step_size: a step's length as a share of the radius, above 0 and at most 1; None for
            2.5/steps, as Madry et al. take it.
        line_steps: forward passes of a last search between the clean image and the smallest
            perturbation found.

    `bounds` and `batch_size` are those of every `Attack`.

    Source: Madry et al., arXiv 1706.06083, as implemented by CleverHans.
    """

    def _offsets(self, share: float, **common: Any) -> tf.Tensor:
        return projected_gradient_descent(eps=1.0, eps_iter=share, nb_iter=self.steps, **common)
