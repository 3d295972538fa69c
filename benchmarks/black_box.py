"""How near attacks come that are only given logits: their ARA against that by gradients.

    make bench-black-box    # or: python benchmarks/black_box.py --network fashion_mnist_mini

A shipped network is taken as a black box: a NumPy function of which every image that it is asked
about is counted. Each attack begins by itself. Pixels stay in [0, 1]. The reference is the preset
`standard` for networks with gradients.

Prints a table, and writes benchmarks/results/black_box.json after each attack. An attack that the
file has already, of as many images, is not run again, unless --again says so: then the network's
reference is measured anew as well.
"""

import argparse
import json
import os
import shlex
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
import turns

import tfrobust
from tfrobust.attacks import (
    SPSA,
    Attack,
    BelowChance,
    Decision,
    FiniteDifferences,
    LinearizedMargin,
    Misclassified,
    Opaque,
    Square,
)
from tfrobust.core.ara import area_ratio
from tfrobust.core.classifier import answers
from tfrobust.core.door import as_classifier
from tfrobust.core.files import write_atomically

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "black_box.json"
GOALS = {"attack": Misclassified(), "btr": BelowChance()}
NOTE = "seconds are of a machine that other work shared"


def differences(steps: int, rivals: int, directions: int) -> Callable[..., Attack]:
    """A walk on finite differences."""
    return lambda **options: FiniteDifferences(
        attack=LinearizedMargin(steps=steps, rivals=rivals, **options), directions=directions
    )


ATTACKS: dict[str, Callable[..., Attack]] = {
    "fast": differences(12, 3, 100),
    "standard": differences(24, 4, 196),
    "all directions": differences(12, 3, 784),
    "square": lambda **options: Square(steps=5000, **options),
    # What the preset `standard` was before, for such networks.
    "spsa": lambda **options: SPSA(steps=20, samples=64, rounds=7, **options),
    "hopskipjump": lambda **options: Decision(steps=20, **options),
}


class Counted:
    """A network as a NumPy function that counts the images that it is asked about."""

    def __init__(self, network: Any) -> None:
        self.network = as_classifier(network)
        self.asked = 0

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Gives logits (B, K) of images (B, H, W, C)."""
        self.asked += len(images)
        return answers(self.network, images).numpy()


def row(attack: Attack, box: Counted, images: Any, labels: Any, goal: str) -> dict[str, Any]:
    """One attack's sizes, and what it asked for, padding included."""
    opaque = Opaque(box, input_shape=(None, *images.shape[1:]), num_classes=10)
    box.asked = 0
    began = time.perf_counter()
    found = attack(opaque, images, labels, GOALS[goal])
    return {
        "attack": attack.name,
        "queries": round(box.asked / len(images)),
        "seconds": round(time.perf_counter() - began, 1),
        "unfound": int((~found.found).sum()),
        "rmse": [round(size, 7) if np.isfinite(size) else None for size in found.rmse.tolist()],
    }


def main() -> None:
    """Measures, prints and writes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--network", default="fashion_mnist_mini", help="a shipped one")
    parser.add_argument("--data_dir", type=Path, default=ROOT.parent / "shared" / "tfds")
    parser.add_argument("--images", type=int, default=40)
    parser.add_argument("--goals", nargs="+", default=["attack"], choices=GOALS)
    parser.add_argument("--only", nargs="+", default=list(ATTACKS), choices=ATTACKS)
    parser.add_argument("--again", action="store_true", help="also what the file has already")
    flags = parser.parse_args()
    folder = None if flags.network.startswith("fashion_mnist") else str(flags.data_dir)
    name = "cifar10" if folder else "fashion_mnist_mini"
    source = tfrobust.datasets.load(name, data_dir=folder)
    images, labels = source.test_arrays(flags.images)
    network = tfrobust.load(flags.network)
    box = Counted(network)
    told: dict[str, Any] = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    told["command"] = f"python {shlex.join(sys.argv)}"
    told |= {"machine": turns.machine(), "note": NOTE}
    for goal in flags.goals:
        key = f"{flags.network}, {goal}"
        rows = told.setdefault(key, {})
        if flags.again or rows.get("images") != flags.images:
            rows.clear()
            walk = LinearizedMargin(steps=60, rivals=6, bounds=(0, 1), batch_size=flags.images)
            true = walk(network, images, labels, GOALS[goal])
            rows |= {"images": flags.images, "rmse by gradients": true.rmse.tolist()}
        base = np.array(rows["rmse by gradients"])
        for kind in flags.only:
            if kind not in rows:
                attack = ATTACKS[kind](bounds=(0, 1), batch_size=flags.images)
                rows[kind] = row(attack, box, images, labels, goal)
                sizes = np.array([np.inf if one is None else one for one in rows[kind]["rmse"]])
                ratio = area_ratio(sizes, base, 10, paired=True)
                rows[kind] |= {"ratio": ratio.value, "low": ratio.low, "high": ratio.high}
                text = json.dumps(told, indent=1, ensure_ascii=False)
                write_atomically(RESULTS, text.encode() + b"\n")
            one = rows[kind]
            cells = [key, *(one[name] for name in ("attack", "queries", "ratio", "low", "high"))]
            print("|", *cells, one["unfound"], one["seconds"], sep=" | ", flush=True)


if __name__ == "__main__":
    main()
