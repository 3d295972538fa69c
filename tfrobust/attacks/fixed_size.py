"""Attacks of a fixed size made minimal: each image's size is bisected."""

from abc import abstractmethod
from typing import Any

import numpy as np
import tensorflow as tf

from tfrobust.attacks.base import Attack, Block, meets
from tfrobust.attacks.minimum_norm import known, shortened
from tfrobust.core.distances import Bounds
from tfrobust.core.opaque import Model
from tfrobust.errors import InputError

FIRST_SIZE = 0.03  # where the search for each image's bracket begins
# A bracket that is still wider than this factor says little about the smallest size.
WIDE = 1.5
NORMS = {2: "L2", np.inf: "L∞"}


def next_sizes(below: np.ndarray, above: np.ndarray) -> np.ndarray:
    """What to try next: doubled or halved until both ends are known, then the geometric middle.

    Args:
        below: float (B,), the largest size that failed; 0 where none has yet.
        above: float (B,), the smallest that did; infinite where none has yet.

    Returns:
        float (B,), not 0 and not infinite; one end at least must be known.
    """
    middle = np.sqrt(np.where(np.isinf(above), 1, above) * below)
    return np.where(np.isinf(above), 2 * below, np.where(below == 0, above / 2, middle))


class Bisection(Attack):
    """An attack of a fixed size, tried with one size a round, each image with its own.

    The size is RMSE for L2, the largest change of a pixel for L∞; of the perturbations that met
    the goal the one of the smallest RMSE is the result, in either norm. A perturbation that is
    known already is the bracket's upper end. Found, but late: the bracket is still open below, or
    its ends are more than a factor of 1.5 apart.

    Args:
        steps: of each attack.
        rounds: sizes tried.
        norm: 2 or `numpy.inf`.
        line_steps: forward passes of a last bisection, between the clean image and the best.
        bounds: the lowest and highest value of an attacked pixel, as (0, 1); None for no bounds.
        batch_size: images computed at a time.
    """

    def __init__(
        self,
        *,
        steps: int,
        rounds: int,
        norm: Any,
        line_steps: int,
        bounds: Bounds | None,
        batch_size: int,
    ) -> None:
        super().__init__(bounds=bounds, batch_size=batch_size)
        if steps < 1 or rounds < 1 or line_steps < 0:
            raise InputError(
                "expected steps and rounds of at least 1 and line_steps not below 0, got "
                f"{steps}, {rounds}, {line_steps}"
            )
        if norm not in NORMS:
            raise InputError(f"expected the norm 2 or numpy.inf, got {norm!r}")
        self.steps, self.rounds, self.norm, self.line_steps = steps, rounds, norm, line_steps

    @abstractmethod
    def _perturbations(self, model: Model, block: Block, sizes: np.ndarray) -> tf.Tensor:
        """The attack of these sizes (B,), float64: → perturbations (B, H, W, C)."""

    def _sizes(self, delta: np.ndarray) -> np.ndarray:
        """Of perturbations (B, H, W, C), in the attack's norm: float64 (B,)."""
        if self.norm == np.inf:
            return np.abs(delta).max(axis=(1, 2, 3)).astype(np.float64)
        return _rmse(delta)

    def _run(self, model: Model, block: Block) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        images, classes, criterion = block.images, block.classes, block.criterion
        start, given = known(model, block, self.bounds)
        best, given = start.numpy(), given.numpy()
        best_size = np.where(given, _rmse(best), np.inf)
        below = np.zeros(len(classes))
        above = np.where(given, self._sizes(best), np.inf)
        found = np.zeros(len(classes), bool)
        sizes = np.where(given, above / 2, FIRST_SIZE)
        for _ in range(self.rounds):
            delta = self._perturbations(model, block, sizes).numpy()
            # The walk may end inside its ball: what counts is where it ended.
            reached = _rmse(delta)
            # Where the gradient is NaN the perturbation is, and an answer of NaN is no class.
            met = meets(model, criterion, images + delta, classes).numpy() & np.isfinite(reached)
            better = met & (reached < best_size)
            best[better], best_size[better] = delta[better], reached[better]
            found |= met
            above, below = np.where(met, sizes, above), np.where(met, below, sizes)
            sizes = next_sizes(below, above)
        late = found & (above > WIDE * below)
        best = shortened(model, criterion, images, classes, tf.constant(best), self.line_steps)
        return best.numpy(), found | given, late


def _rmse(delta: np.ndarray) -> np.ndarray:
    return np.sqrt(np.mean(np.square(delta, dtype=np.float64), axis=(1, 2, 3)))
