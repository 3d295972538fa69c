"""Sets of attacks by name."""

import math
from collections.abc import Callable, Sequence

import numpy as np

from tfrobust.attacks import PGD, SPSA, Attack, Blend, L2Min, LinearizedMargin
from tfrobust.core.distances import Bounds
from tfrobust.errors import InputError

# Small images fill a block of 50 well; large ones must fit into memory.
MOST_IMAGES, MOST_VALUES = 50, 1_500_000
# By name, attacks for bounds and a batch size, the cheap ones first.
PRESETS: dict[str, Callable[[Bounds | None, int], list[Attack]]] = {
    "fast": lambda bounds, batch_size: [
        LinearizedMargin(steps=24, rivals=4, bounds=bounds, batch_size=batch_size)
    ],
    "standard": lambda bounds, batch_size: [
        LinearizedMargin(steps=60, rivals=5, bounds=bounds, batch_size=batch_size)
    ],
    # The published figures took L2,min with 450 steps.
    "thorough": lambda bounds, batch_size: [
        LinearizedMargin(steps=200, rivals=9, bounds=bounds, batch_size=batch_size),
        PGD(steps=10, bounds=bounds, batch_size=batch_size),
        L2Min(steps=450, bounds=bounds, batch_size=batch_size),
    ],
}
# The same for networks that only answer: steps × (samples + 1) answers for each size tried.
WITHOUT_GRADIENTS: dict[str, dict[str, int]] = {
    "fast": {"steps": 8, "samples": 16, "rounds": 5},
    "standard": {"steps": 20, "samples": 64, "rounds": 7},
    "thorough": {"steps": 60, "samples": 256, "rounds": 9},
}


def preset_attacks(
    preset: str, images: np.ndarray, bounds: Bounds | None, gradients: bool = True
) -> list[Attack]:
    """A preset's attacks, in blocks that suit the images, and a blend for what they leave.

    Args:
        preset: one of PRESETS.
        images: float32 (N, H, W, C), at least one.
        bounds: the lowest and highest value of an attacked pixel, as (0, 1); None for no bounds.
        gradients: whether the network gives any; an `Opaque` one does not.
    """
    most = max(1, min(MOST_IMAGES, MOST_VALUES // images[0].size))
    # Blocks of equal size, so that little of the last one is padding.
    batch_size = math.ceil(len(images) / math.ceil(len(images) / most))
    if not gradients:
        spsa = SPSA(**WITHOUT_GRADIENTS[preset], bounds=bounds, batch_size=batch_size)
        return [spsa, Blend(images, bounds=bounds, batch_size=batch_size)]
    return [
        *PRESETS[preset](bounds, batch_size),
        Blend(images, bounds=bounds, batch_size=batch_size),
    ]


def check_attacks(attacks: Sequence[Attack], bounds: Bounds | None) -> None:
    """Refuses attacks that one report cannot hold.

    Raises:
        InputError: none, two of one name, or one whose `bounds` are not the report's.
    """
    names = [attack.name for attack in attacks]
    if not names or len(set(names)) < len(names):
        raise InputError(f"expected at least one attack, each of another name, got {names}")
    if other := [attack.name for attack in attacks if attack.bounds != bounds]:
        raise InputError(
            f"expected attacks with bounds={bounds}, as evaluate was given; {', '.join(other)} "
            "have others"
        )
