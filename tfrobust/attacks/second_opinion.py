"""A second opinion on sizes that other attacks found, by CleverHans' PGD."""

import dataclasses

import numpy as np

from tfrobust.attacks.base import Block
from tfrobust.attacks.fixed_size import NORMS
from tfrobust.attacks.pgd import PGD
from tfrobust.core.classifier import Classifier
from tfrobust.core.second_opinion import TITLE

# The ball's size as a share of the smallest size known. What lies inside is smaller by more than
# `smallest` puts down to rounding.
WITHIN = 0.998


@dataclasses.dataclass(kw_only=True, eq=False)
class SecondOpinion(PGD):
    """CleverHans' projected gradient descent in the ball just below the smallest size known.

    An attack's size is an upper bound, which another attack may lower. This one tries to, for each
    image once, from the clean image. Where it succeeds, its perturbation is searched on its line
    as any other. An image for which nothing is known is attacked at FIRST_SIZE.

    Args:
        steps: gradients of the attack.
        norm, step_size, line_steps, bounds, batch_size: those of `PGD`.

    Source: our own use of CleverHans' PGD.
    """

    steps: int = 20
    rounds: int = dataclasses.field(default=1, init=False)

    @property
    def name(self) -> str:
        """E.g. "second opinion: CleverHans PGD-L2 (20 steps)"."""
        return f"{TITLE} PGD-{NORMS[self.norm]} ({self.steps} steps)"

    def _first_sizes(self, above: np.ndarray) -> np.ndarray:
        return np.where(np.isfinite(above), WITHIN * above, super()._first_sizes(above))

    def _run(self, model: Classifier, block: Block) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        delta, found, _ = super()._run(model, block)
        # There is no bracket that could be too wide.
        return delta, found, np.zeros_like(found)
