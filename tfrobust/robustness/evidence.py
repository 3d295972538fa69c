"""What an evaluation found, gathered for the checks that look for reasons not to trust it."""

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from tfrobust.attacks import Attack, AttackResult, Blend, L2Min
from tfrobust.attacks.second_opinion import SecondOpinion
from tfrobust.attacks.walk import step_lengths
from tfrobust.robustness.probes import Probes, margins

# The label's lead in logits from which a softmax is 1 and a cross-entropy 0 in float32.
CERTAIN = 24 * np.log(2)
# Attacks divide a gradient by its size plus this number, so they stand still where it is smaller.
VANISHING = 1e-8
# The largest difference of logits between two calls that rounding explains, relative to the
# largest logit.
DRIFT = 1e-3


class Searched(NamedTuple):
    """What one attack found for one goal.

    Args:
        name: the attack's name.
        goal: "attack" or "btr".
        rmse: float64 (N,), the sizes; infinite where the attack found nothing.
        needs_gradient: whether the attack follows the network's gradient.
        last_step: RMSE of the attack's last step, if that limits how fine its sizes are; else 0.
        tells_late: whether it tells which perturbations it found late in its search.
        borrows: whether it blends with images that are measured themselves.
    """

    name: str
    goal: str
    rmse: np.ndarray
    needs_gradient: bool
    last_step: float
    tells_late: bool = True
    borrows: bool = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class Evidence:
    """What the checks look at.

    Args:
        labels: int (N,), the true classes.
        logits: float32 (N, K), the network's answers to the images as they are.
        steepest: for each objective that attacks follow, float (N,), as `clean_pass` gives it.
        sizes: for each goal, float64 (N,), the smallest size over all attacks.
        late: for each goal, bool (N,), whether the attack with the smallest size found it only in
            the second half of its search.
        attacks: what each attack found.
        probes: what the network answered to further questions.
    """

    labels: np.ndarray
    logits: np.ndarray
    steepest: dict[str, np.ndarray]
    sizes: dict[str, np.ndarray]
    late: dict[str, np.ndarray]
    attacks: tuple[Searched, ...]
    probes: Probes

    @property
    def right(self) -> np.ndarray:
        """bool (N,), whether the network gives an image its label."""
        return self.logits.argmax(axis=1) == self.labels

    @property
    def saturated(self) -> np.ndarray:
        """bool (N,), whether the network is so sure that the cross-entropy has no gradient."""
        steepest = self.steepest.get("cross-entropy", np.ones(len(self.labels)))
        sure = margins(self.logits, self.labels) > CERTAIN
        return self.right & sure & (steepest < VANISHING)

    @property
    def drifts(self) -> bool:
        """Whether the network answers the same images differently from call to call."""
        return bool(np.any(self.probes.drift > DRIFT))


def searched(
    attacks: Sequence[Attack], found: Mapping[str, Sequence[AttackResult]], images: np.ndarray
) -> tuple[Searched, ...]:
    """What each attack found for each goal, as the checks take it.

    A second opinion is left out: where it finds nothing smaller it gives back what it was given,
    which would look like another attack that comes as close.

    Args:
        attacks: the attacks of an evaluation, in order.
        found: for each goal, what each of these attacks found.
        images: float32 (N, H, W, C), those that are measured.
    """
    measured = _hashes(images)
    borrowers = [
        isinstance(attack, Blend) and not measured.isdisjoint(_hashes(attack.pool))
        for attack in attacks
    ]
    return tuple(
        Searched(
            name=attack.name,
            goal=goal,
            rmse=result.rmse,
            needs_gradient=attack.needs_gradient,
            # L2Min's path has steps of given lengths; other attacks come as close as they can.
            last_step=float(step_lengths(attack.steps, attack.path)[-1])
            if isinstance(attack, L2Min)
            else 0.0,
            tells_late=attack.tells_late,
            borrows=borrows,
        )
        for goal, results in found.items()
        for attack, result, borrows in zip(attacks, results, borrowers, strict=True)
        if not isinstance(attack, SecondOpinion)
    )


def _hashes(images: np.ndarray) -> set[bytes]:
    """By what equal images are known. The images themselves would take their memory once more."""
    return {hashlib.sha256(image.tobytes()).digest() for image in images}
