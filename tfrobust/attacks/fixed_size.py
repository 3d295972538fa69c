"""Attacks of a fixed size, made minimum-norm attacks by bisecting each image's size."""

import dataclasses
from abc import abstractmethod

import numpy as np
import tensorflow as tf

from tfrobust.attacks.base import Attack, Block, meets
from tfrobust.attacks.line_search import known_start, shortened
from tfrobust.core.classifier import Classifier
from tfrobust.core.distances import rmse64
from tfrobust.errors import InputError

FIRST_SIZE = 0.03  # where the search for each image's bracket begins
# A bracket that is still wider than this factor says little about the smallest size.
WIDE = 1.5
NORMS = {2: "L2", np.inf: "L∞"}


def next_sizes(below: np.ndarray, above: np.ndarray) -> np.ndarray:
    """The sizes to try next: doubled or halved until both ends are known, then bisected.

    Args:
        below: float (B,), the largest size that failed; 0 where none has failed yet.
        above: float (B,), the smallest that did; infinite where none has yet. At least one end
            must be known.

    Returns:
        float (B,), above 0 and finite. Between two known ends it is their geometric mean.
    """
    middle = np.sqrt(np.where(np.isinf(above), 1, above) * below)
    return np.where(np.isinf(above), 2 * below, np.where(below == 0, above / 2, middle))


@dataclasses.dataclass(kw_only=True, eq=False)
class FixedSizeAttack(Attack):
    """An attack of a fixed size, tried with another size at each round, for each image its own.

    The size is RMSE for L2 and the largest change of a pixel for L∞. In either norm the result is
    the perturbation of the smallest RMSE among those that met the criterion. A perturbation that
    is known already is the bracket's upper end. A result is late where the bracket is still open
    below, or its ends are more than a factor of 1.5 apart.

    Args:
        steps: gradients of each attack.
        rounds: how many sizes are tried.
        norm: 2 or `numpy.inf`.
        line_steps: forward passes of a last search between the clean image and the smallest
            perturbation found.

    `bounds` and `batch_size` are those of every `Attack`.
    """

    tells_late = True

    steps: int = 10
    rounds: int = 9
    norm: float = 2
    line_steps: int = 8

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.steps < 1 or self.rounds < 1 or self.line_steps < 0:
            raise InputError(
                "expected steps and rounds of at least 1 and line_steps not below 0, got "
                f"{self.steps}, {self.rounds}, {self.line_steps}"
            )
        if self.norm not in NORMS:
            raise InputError(f"expected the norm 2 or numpy.inf, got {self.norm!r}")

    @property
    def gradients(self) -> int:
        """The steps at all sizes."""
        return self.steps * self.rounds if self.needs_gradient else 0

    @property
    def judgements(self) -> int:
        """Of the clean image and what is known, at each size, and the last search."""
        return 2 + self.rounds + self.line_steps

    @property
    def searches_linf(self) -> bool:
        """In its norm."""
        return bool(self.norm == np.inf)

    @abstractmethod
    def _perturbations(self, model: Classifier, block: Block, sizes: np.ndarray) -> tf.Tensor:
        """The attack with these sizes, float64 (B,): → perturbations float32 (B, H, W, C)."""

    def _first_sizes(self, above: np.ndarray) -> np.ndarray:
        """What is tried first, where above, float64 (B,), is known; infinite where nothing is."""
        return np.where(np.isfinite(above), above / 2, FIRST_SIZE)

    def _sizes(self, delta: np.ndarray) -> np.ndarray:
        """The sizes of perturbations (B, H, W, C) in the attack's norm, float64 (B,)."""
        if self.norm == np.inf:
            return np.abs(delta).max(axis=(1, 2, 3)).astype(np.float64)
        return rmse64(delta)

    def _run(self, model: Classifier, block: Block) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        images, classes, criterion = block.images, block.classes, block.criterion
        start, known = known_start(model, block, self.bounds)
        best, given = start.numpy(), known.numpy()
        best_size = np.where(given, rmse64(best), np.inf)
        below = np.zeros(len(classes))
        above = np.where(given, self._sizes(best), np.inf)
        found = np.zeros(len(classes), bool)
        sizes = self._first_sizes(above)
        for _ in range(self.rounds):
            delta = self._perturbations(model, block, sizes).numpy()
            # The walk may end inside its ball. What counts is where it ended.
            reached = rmse64(delta)
            # Where the gradient is NaN the perturbation is, and an answer of NaN is no class.
            met = meets(model, criterion, images + delta, classes).numpy() & np.isfinite(reached)
            better = met & (reached < best_size)
            best[better], best_size[better] = delta[better], reached[better]
            found |= met
            above, below = np.where(met, sizes, above), np.where(met, below, sizes)
            sizes = next_sizes(below, above)
        late = found & (above > WIDE * below)
        shorter = shortened(model, criterion, images, classes, tf.constant(best), self.line_steps)
        return shorter.numpy(), found | given, late
