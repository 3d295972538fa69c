"""What a second attack, in the balls just below the sizes found, says of these sizes."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from tfrobust.core.second_opinion import TAKEN_OVER, TITLE

if TYPE_CHECKING:
    from tfrobust.robustness.attack_record import AttackRecord

GOALS = {"attack": "misclassification", "btr": "BTR"}
NOT_TAKEN = "second opinion: none; no other library's attack was run just below the sizes found"


def told(attacks: Sequence["AttackRecord"]) -> str:
    """How often the second opinion lowered a size, in a sentence.

    Args:
        attacks: what each attack found, in the order in which they ran.
    """
    parts, name = [], ""
    for number, record in enumerate(attacks):
        if not record.name.startswith(TITLE):
            continue
        name = record.name
        before = np.min(
            [one.rmse for one in attacks[:number] if one.goal == record.goal]
            or [np.full(len(record.rmse), np.inf)],
            axis=0,
        )
        asked = before > 0
        lowered = asked & (record.rmse < TAKEN_OVER * before)
        words = f"{lowered.sum()} of {asked.sum()} images were lowered for {GOALS[record.goal]}"
        if lowered.any():
            most = 1 - np.min(record.rmse[lowered] / before[lowered])
            words += f", by at most {most:.1%}"
        parts.append(words)
    return f"{name}, just below the sizes found: {'; '.join(parts)}" if parts else NOT_TAKEN
