"""Compares the presets of `evaluate` with the paper's attack: the area found, and its cost.

    make bench-presets            # or: python benchmarks/ara_presets.py --images 128

It uses the network and the images of ../shared/reference, on which nothing was tuned. Without them
nothing runs. The cost is the number of gradients of the network for each image. A small network
counts them as they are computed; no attack asks for more or fewer on another network. The seconds
are those of the compiled attacks, warmed up on one image. The paper's attack is one of them.

Prints a table, and writes benchmarks/results/ara_presets.json and docs/images/ara_presets.png.
With `--only` the rows of other attacks stay as they were. Each row tells its date, and is kept as
soon as it is measured.
"""

import argparse
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import matplotlib
import numpy as np
import tensorflow as tf
import turns

from tfrobust.attacks import BelowChance, Criterion, L2Min, LinearizedMargin, Misclassified
from tfrobust.attacks.base import Attack
from tfrobust.attacks.ensemble import attack_in_turn, smallest
from tfrobust.core.ara import accuracy_robustness_area
from tfrobust.core.door import as_classifier
from tfrobust.models import published, resnet_cifar
from tfrobust.robustness.presets import PRESETS, preset_attacks

matplotlib.use("Agg")
import matplotlib.pyplot as plt

ROOT = Path(__file__).resolve().parents[1]
REFERENCE = ROOT.parent / "shared" / "reference"
GOALS: dict[str, Criterion] = {"attack": Misclassified(), "btr": BelowChance()}
# For each goal: the largest number of gradients for an image, and the area to reach.
MARKS = {
    "fast": {"attack": (24, 0.0116)},
    "standard": {"attack": (80, 0.0112), "btr": (80, 0.0390)},
    "thorough": {"attack": (None, 0.0110), "btr": (None, 0.0384)},
}


class Counting:
    """A network that counts its gradients, as long as TensorFlow does not compile it."""

    def __init__(self, network: Any) -> None:
        self.network, self.gradients = network, 0
        self.output_shape = network.output_shape

    def __call__(self, images: tf.Tensor) -> tf.Tensor:
        """Logits of images."""

        @tf.custom_gradient
        def counter(images: tf.Tensor) -> tuple[tf.Tensor, Any]:
            def gradient(upstream: tf.Tensor) -> tf.Tensor:
                self.gradients += 1
                return upstream

            return tf.identity(images), gradient

        return self.network(counter(tf.convert_to_tensor(images)))


def counted(attacks: list[Attack], images: np.ndarray, goal: Criterion) -> int:
    """The number of gradients for each image, for all attacks one after the other."""
    shape, images = images.shape[1:], images[:2]
    counting = Counting(resnet_cifar(depth=8, width=2, input_shape=shape))
    network = as_classifier(counting)
    labels = network(images).numpy().argmax(axis=1)
    tf.config.run_functions_eagerly(True)
    try:
        for attack in attacks:
            attack.batch_size = len(images)
        # The first call asks whether there is a gradient at all, which is not counted.
        network.check(images)
        counting.gradients = 0
        list(attack_in_turn(attacks, network, images, labels, goal))
    finally:
        tf.config.run_functions_eagerly(False)
    return counting.gradients


def sets_of(images: np.ndarray, sweep: bool) -> dict[str, Any]:
    """By name, what makes the attacks that are measured: () → a list."""
    batch_size = preset_attacks("fast", images, bounds=None)[0].batch_size
    kinds: dict[str, Any] = {
        name: lambda name=name: preset_attacks(name, images, bounds=None) for name in PRESETS
    }
    kinds["the paper's, L2,min 450"] = lambda: [L2Min(steps=450, batch_size=batch_size)]
    if sweep:
        for steps in (6, 12, 40, 120):
            kinds[f"linearized margin {steps}"] = lambda steps=steps: [
                LinearizedMargin(steps=steps, rivals=5, batch_size=batch_size)
            ]
    return kinds


_KINDS = {
    "fast": ("linearized margin", " (fast)"),
    "standard": ("linearized margin", " (standard)"),
    "thorough": ("thorough: linearized margin, PGD, L2,min", ""),
    "the paper's, L2,min 450": ("the paper's L2,min", ""),
}
_MARKERS = {
    "linearized margin": "o-b",
    "thorough: linearized margin, PGD, L2,min": "Dg",
    "the paper's L2,min": "sr",
}


def drawn(rows: dict[str, Any], path: Path) -> None:
    """The areas against the gradients, a panel for each goal."""
    figure, panels = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    for panel, goal in zip(panels, GOALS, strict=True):
        kinds: dict[str, list[tuple[float, float, str]]] = {}
        for name, row in rows.items():
            at, area = row[goal]["gradients"], row[goal]["ara"]
            kind, note = _KINDS.get(name, ("linearized margin", ""))
            kinds.setdefault(kind, []).append((at, area, f"{at}{note}"))
        for kind, points in kinds.items():
            points.sort()
            at, areas, notes = zip(*points, strict=True)
            panel.plot(at, areas, _MARKERS[kind], label=kind, linewidth=0.8)
            for x, y, note in zip(at, areas, notes, strict=True):
                panel.annotate(
                    note, (x, y), xytext=(4, 6), textcoords="offset points", fontsize=7,
                    rotation=45,
                )  # fmt: skip
        for name, marks in MARKS.items():
            if goal in marks:
                panel.axhline(marks[goal][1], color="0.7", linewidth=0.8, linestyle=":")
                panel.text(0.01, marks[goal][1], f"mark: {name}", fontsize=7, color="0.5",
                           transform=panel.get_yaxis_transform())  # fmt: skip
        panel.set(xscale="log", xlabel="gradient evaluations per image", ylabel="ARA (RMSE)")
        panel.set_title("misclassified" if goal == "attack" else "below chance (BTR)")
        panel.margins(x=0.15, y=0.15)
    handles = panels[0].get_legend_handles_labels()
    figure.legend(*handles, fontsize=8, loc="outside lower center", ncols=3)
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}")
    figure.savefig(beside, format="png", dpi=110)
    beside.replace(path)


def main() -> None:
    """Measures, prints and writes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=128)
    parser.add_argument("--sweep", action=argparse.BooleanOptionalAction, default=True,
                        help="other numbers of steps as well, for the plot")  # fmt: skip
    parser.add_argument("--only", default="", help="a part of the names to measure")
    parser.add_argument(
        "--output", type=Path, default=ROOT / "benchmarks" / "results" / "ara_presets.json"
    )
    parser.add_argument("--plot", type=Path, default=ROOT / "docs" / "images" / "ara_presets.png")
    flags = parser.parse_args()
    if not REFERENCE.is_dir():
        sys.exit(f"left out: there is no {REFERENCE} with the published network and its images")
    machine = turns.machine()
    network = published.load(REFERENCE / "resnet44-all.npz")
    with np.load(REFERENCE / "resnet44-all.expected.npz") as file:
        images = file["images"][: flags.images].astype(np.float32) / 255
        labels = file["labels"][: flags.images].astype(np.int32)
    logits = network.predict(images, verbose=0)
    results = {
        "command": f"python benchmarks/ara_presets.py --images {len(images)}",
        "network": "published ResNet-44, robust loss + L2,min adversarial training",
        "images": f"the {len(images)} of ../shared/reference: CIFAR-10 (JPEG copy) test images; "
        "without a box",
        "machine": {**machine, "tensorflow": tf.__version__},
    }
    rows: dict[str, Any] = {}
    if flags.only and flags.output.exists():
        former = json.loads(flags.output.read_text())
        if former["images"] != results["images"]:
            sys.exit(f"{flags.output} is of {former['images']}; measure all of it anew")
        rows = former["attacks"]
    for name, make in sets_of(images, flags.sweep).items():
        if flags.only not in name:
            continue
        rows[name] = {"date": machine["date"]}
        for goal_name, goal in GOALS.items():
            gradients = counted(make(), images, goal)
            for attack in make():
                attack(network, images[:1], labels[:1], goal)
            began = time.perf_counter()
            best, _ = smallest(list(attack_in_turn(make(), network, images, labels, goal)))
            seconds = time.perf_counter() - began
            area = accuracy_robustness_area(best.rmse, logits.shape[1])
            row = {
                "ara": round(area.value, 6),
                "interval": [round(area.low, 6), round(area.high, 6)],
                "gradients": gradients,
                "seconds": round(seconds, 1),
                "unfound": int((~best.found).sum()),
            }
            if mark := MARKS.get(name, {}).get(goal_name):
                most, reach = mark
                row["mark"] = {"gradients": most, "ara": reach}
                row["met"] = area.value <= reach and (most is None or gradients <= most)
            rows[name][goal_name] = row
            print(name, goal_name, row, file=sys.stderr, flush=True)
        turns.write(flags.output, {**results, "attacks": rows})
    print("| attacks | goal | gradients per image | ARA | not found | seconds | mark |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for name, goals in rows.items():
        for goal_name in GOALS:
            row = goals[goal_name]
            verdict = "" if "met" not in row else "met" if row["met"] else "MISSED"
            print(
                f"| {name} | {goal_name} | {row['gradients']} | {row['ara']:.5f} | "
                f"{row['unfound']} | {row['seconds']:.0f} | {verdict} |"
            )
    drawn(rows, flags.plot)
    print(f"written: {flags.output} and {flags.plot}")


if __name__ == "__main__":
    main()
