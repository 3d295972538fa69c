"""Several attacks on the same images: the smallest perturbation that any of them found."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from tfrobust.attacks.base import Attack, AttackResult
from tfrobust.core.classifier import Model
from tfrobust.core.criterion import Criterion
from tfrobust.core.second_opinion import TAKEN_OVER


def smallest(results: Sequence[AttackResult]) -> tuple[AttackResult, np.ndarray]:
    """For each image the smallest of several results.

    Args:
        results: of the same N images, in the order in which the attacks ran.

    Returns:
        The smallest perturbations; and int (N,), the number of the attack that found each. It is
        the first attack whose size no later one undercuts by more than 0.1 %, and −1 where the
        clean image met the criterion or nothing was found.
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


def smallest_linf(results: Sequence[AttackResult], images: np.ndarray) -> np.ndarray:
    """For each image the smallest L∞ size of several results.

    Args:
        results: of the same images.
        images: float32 (N, H, W, C), as they are.

    Returns:
        float64 (N,), the largest change of a value; infinite where nothing was found.
    """
    sizes = [
        np.where(one.found, np.abs(one.adversarials - images).max(axis=(1, 2, 3)), np.inf)
        for one in results
    ]
    return np.min(sizes, axis=0).astype(np.float64)


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
    """Runs attacks one after the other. Each is given the smallest perturbations so far.

    Args:
        attacks: in this order; cheap attacks first save the others work.
        model: a network, or a function of images (B, H, W, C) that gives logits (B, K).
        images: float (N, H, W, C) in [0, 1].
        labels: int (N,), the true classes, from 0 to K − 1.
        criterion: what to look for; `Misclassified()` when None.
        done: results of the first attacks, which are not run again.
        numbers: int (N,), the number of each image in its data set; 0 to N − 1 when None.

    Yields:
        What each attack that is not done found, as soon as it is there.
    """
    results = list(done)
    for attack in attacks[len(results) :]:
        start = smallest(results)[0] if results else None
        results.append(attack(model, images, labels, criterion, start=start, numbers=numbers))
        yield results[-1]
