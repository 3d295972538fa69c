"""Our attacks on a PyTorch twin: the presets, and single attacks with steps for each budget."""

from collections.abc import Callable
from typing import Any

import numpy as np

from tfrobust.attacks import DDN, FMN, Attack, L2Min, LinearizedMargin
from tfrobust.attacks.ensemble import attack_in_turn
from tfrobust.robustness.presets import searches

LIBRARY = "tfrobust"
BOUNDS = (0, 1)
# Forward passes beside the steps: of the clean image twice, and of the last search.
BESIDE = 10
# From which budget on our attack follows so many rivals, as the presets do.
RIVALS = {25: 4, 60: 4, 200: 5, 2000: 9}


def _steps(budget: int) -> int:
    return (budget - BESIDE) // 2


Make = Callable[[int, int], list[Attack]]
# By name: its budgets, and what makes its attacks of a budget and a batch size.
OURS: dict[str, tuple[tuple[int, ...], Make]] = {
    "fast": ((60,), lambda budget, count: searches("fast", BOUNDS, count)),
    "standard": ((200,), lambda budget, count: searches("standard", BOUNDS, count)),
    "thorough": ((2000,), lambda budget, count: searches("thorough", BOUNDS, count)),
    "linearized margin": (
        (25, 60, 200, 2000),
        lambda budget, count: [
            LinearizedMargin(
                steps=_steps(budget), rivals=RIVALS[budget], bounds=BOUNDS, batch_size=count
            )
        ],
    ),
    "our DDN": (
        (25, 60, 200),
        lambda budget, count: [DDN(steps=_steps(budget) - 1, bounds=BOUNDS, batch_size=count)],
    ),
    "our FMN": (
        (25, 60, 200),
        lambda budget, count: [FMN(steps=_steps(budget) - 1, bounds=BOUNDS, batch_size=count)],
    ),
    "the paper's L2,min": (
        (25, 60, 200),
        lambda budget, count: [L2Min(steps=_steps(budget) - 1, bounds=BOUNDS, batch_size=count)],
    ),
}


def run(model: Any, name: str, budget: int, images: np.ndarray, labels: np.ndarray) -> None:
    """Attacks images (N, H, W, C) with one of OURS."""
    attacks = OURS[name][1](budget, len(images))
    list(attack_in_turn(attacks, model, images, labels))
