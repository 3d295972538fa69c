"""Several attacks on the same images: per image, the smallest perturbation that any found."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from tfrobust.attacks.base import Attack, AttackResult
from tfrobust.core.criteria import Criterion
from tfrobust.core.opaque import Model

# Who finds only this much less than another has found nothing of its own.
TAKEN_OVER = 0.999


def smallest(results: Sequence[AttackResult]) -> tuple[AttackResult, np.ndarray]:
    """Per image the smallest of several results.

    Args:
        results: of the same images, in the order in which the attacks ran.

    Returns:
        The smallest, and int (N,) whose it is: the first attack that no later one undercuts by
        more than 0.1 %; −1 where the image met the goal as it was, or nothing was found.
    """
    best = results[0]
    winner = np.where(best.found & (best.rmse > 0), 0, -1)
    held = best.rmse
    for number, result in enumerate(results[1:], 1):
        better = result.rmse < best.rmse
        over = result.found & (result.rmse < TAKEN_OVER * held)
        winner, held = np.where(over, number, winner), np.where(over, result.rmse, held)
        best = AttackResult(
            adversarials=np.where(
                better[:, None, None, None], result.adversarials, best.adversarials
            ),
            rmse=np.where(better, result.rmse, best.rmse),
            found=best.found | result.found,
            late=np.where(better, result.late, best.late),
        )
    return best, winner


def attack_in_turn(
    attacks: Sequence[Attack],
    model: Model,
    images: Any,
    labels: Any,
    criterion: Criterion | None = None,
    *,
    done: Sequence[AttackResult] = (),
    numbers: Any = None,
) -> Iterator[AttackResult]:
    """Runs attacks one after the other, each told of the smallest perturbations so far.

    Args:
        attacks: the cheap ones first.
        model: as for `Attack`, as are the four that follow.
        images: float (N, H, W, C) in [0, 1].
        labels: int (N,).
        criterion: the goal.
        done: results of the first attacks, which are not run again.
        numbers: int (N,), which image of its data set each is.

    Yields:
        What each attack that is not done found, as soon as it is there.
    """
    results = list(done)
    for attack in attacks[len(results) :]:
        start = smallest(results)[0] if results else None
        results.append(attack(model, images, labels, criterion, start=start, numbers=numbers))
        yield results[-1]
