"""Sets of attacks by name."""

import math
from collections.abc import Callable, Sequence

import numpy as np

from tfrobust.attacks import PGD, SPSA, Attack, Blend, L2Min, Projection
from tfrobust.errors import InputError

# Small images fill a block of 50 well; large ones must fit into memory.
MOST_IMAGES, MOST_VALUES = 50, 1_500_000
# By name, attacks for a box and a block, the cheap ones first.
PRESETS: dict[str, Callable[[bool, int], list[Attack]]] = {
    "fast": lambda box, block: [Projection(steps=24, rivals=4, box=box, block=block)],
    "standard": lambda box, block: [Projection(steps=60, rivals=5, box=box, block=block)],
    # The published figures took L2,min with 450 steps.
    "thorough": lambda box, block: [
        Projection(steps=200, rivals=9, box=box, block=block),
        PGD(steps=10, box=box, block=block),
        L2Min(steps=450, box=box, block=block),
    ],
}
# The same for networks that only answer: steps × (samples + 1) answers for each size tried.
WITHOUT_GRADIENTS: dict[str, dict[str, int]] = {
    "fast": {"steps": 8, "samples": 16, "rounds": 5},
    "standard": {"steps": 20, "samples": 64, "rounds": 7},
    "thorough": {"steps": 60, "samples": 256, "rounds": 9},
}


def preset_attacks(
    preset: str, images: np.ndarray, box: bool, gradients: bool = True
) -> list[Attack]:
    """A preset's attacks, in blocks that suit the images, and a blend for what they leave.

    Args:
        preset: one of PRESETS.
        images: float32 (N, H, W, C), at least one.
        box: whether attacked images stay in [0, 1].
        gradients: whether the network gives any; an `Opaque` one does not.
    """
    most = max(1, min(MOST_IMAGES, MOST_VALUES // images[0].size))
    # Blocks of equal size, so that little of the last one is padding.
    block = math.ceil(len(images) / math.ceil(len(images) / most))
    if not gradients:
        spsa = SPSA(**WITHOUT_GRADIENTS[preset], box=box, block=block)
        return [spsa, Blend(images, box=box, block=block)]
    return [*PRESETS[preset](box, block), Blend(images, box=box, block=block)]


def check_attacks(attacks: Sequence[Attack], box: bool) -> None:
    """Refuses attacks that one report cannot hold.

    Raises:
        InputError: none, two of one name, or one whose `box` is not the report's.
    """
    names = [attack.name for attack in attacks]
    if not names or len(set(names)) < len(names):
        raise InputError(f"expected at least one attack, each of another name, got {names}")
    if other := [attack.name for attack in attacks if attack.box != box]:
        raise InputError(
            f"expected attacks with box={box}, as evaluate was given, got box={not box} in "
            f"{', '.join(other)}"
        )
