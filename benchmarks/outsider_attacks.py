"""AutoAttack's four attacks by torchattacks, with the numbers of its standard version.

torchattacks' own `AutoAttack` leaves its attacks at 10 steps, where the source has 100.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torchattacks
import turns

STEPS, QUERIES, BLOCK = 100, 5000, 50
# The customary sizes, by their norms.
SIZES = {"L2": 0.5, "Linf": 8 / 255}


def attacks(
    network: Any, norm: str, *, steps: int, queries: int
) -> dict[str, Callable[[torch.Tensor, torch.Tensor], torch.Tensor]]:
    """The attacks in their order, each made only when it is run.

    Args:
        network: in PyTorch, images (B, C, H, W) → logits (B, 10).
        norm: in SIZES.
        steps: of each but Square.
        queries: of Square.
    """
    given: dict[str, Any] = {"norm": norm, "eps": SIZES[norm]}
    classes: dict[str, Any] = {"steps": steps, "n_classes": 10}

    def fab() -> Any:
        return torchattacks.FAB(network, multi_targeted=True, **classes, **given)

    makers: dict[str, Callable[[], Any]] = {
        "APGD-CE": lambda: torchattacks.APGD(network, loss="ce", steps=steps, **given),
        "APGD-T": lambda: torchattacks.APGDT(network, **classes, **given),
        "FAB-T": fab,
        "Square": lambda: torchattacks.Square(network, n_queries=queries, **given),
    }
    return {name: lambda x, y, make=make: make()(x, y) for name, make in makers.items()}


def broken_by(
    network: Any, images: torch.Tensor, labels: torch.Tensor, norm: str, **numbers: int
) -> list[str]:
    """Which attack is the first that misleads a network about each image.

    Args:
        network: as `attacks` takes it.
        images: float (N, C, H, W).
        labels: int64 (N,).
        norm: in SIZES.
        numbers: as `attacks` takes them.

    Returns:
        Names of attacks; "clean" where none was needed, "" where all fail. What an attack gives
        counts only if it is in the box and no larger than the size.
    """
    with torch.no_grad():
        right = network(images).argmax(1) == labels
    found = ["" if one else "clean" for one in right.tolist()]
    for name, attack in attacks(network, norm, **numbers).items():
        left = [place for place, one in enumerate(found) if not one]
        if not left:
            break
        given = attack(images[left], labels[left]).detach()
        with torch.no_grad():
            wrong = network(given).argmax(1) != labels[left]
        kept = _within(given - images[left], norm) & _in_box(given)
        for place, one in zip(left, (wrong & kept).tolist(), strict=True):
            found[place] = name if one else ""
    return found


def robust(
    network: Any,
    images: np.ndarray,
    labels: np.ndarray,
    norm: str,
    folder: Path,
    **numbers: int,
) -> list[str]:
    """The same for many images, block by block; blocks that were done are read back.

    Args:
        images: float32 (N, C, H, W).
        labels: int (N,).
        folder: of the blocks.
        network, norm, numbers: as `broken_by` takes them.
    """
    folder.mkdir(parents=True, exist_ok=True)
    found: list[str] = []
    for first in range(0, len(images), BLOCK):
        part = slice(first, min(first + BLOCK, len(images)))
        told = "_".join(f"{one}" for one in numbers.values())
        path = folder / f"{norm}_{told}_{part.start}_{part.stop}.json"
        if not path.exists():
            batch = torch.from_numpy(images[part]), torch.from_numpy(labels[part].astype(np.int64))
            turns.write(path, broken_by(network, *batch, norm, **numbers))
        found += json.loads(path.read_text())
    return found


def _within(change: torch.Tensor, norm: str) -> torch.Tensor:
    flat = change.flatten(1)
    size = flat.norm(dim=1) if norm == "L2" else flat.abs().amax(1)
    return size <= SIZES[norm] * (1 + 1e-4)  # float32


def _in_box(images: torch.Tensor) -> torch.Tensor:
    return ((images >= -1e-6) & (images <= 1 + 1e-6)).flatten(1).all(1)
