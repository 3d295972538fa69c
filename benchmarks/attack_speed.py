"""Compares our attacks with Foolbox's DDN and CleverHans' Carlini-Wagner: sizes and seconds.

    make bench-attacks            # or: python benchmarks/attack_speed.py --images 32

The network is the published ResNet-44. The images are the first from number 3000 of CIFAR-10's test
set on (a JPEG copy) that it classifies correctly. Both come from ../shared; without it nothing
runs. Foolbox is left out if it is not installed.

Every attack stays in [0, 1], as Foolbox's and CleverHans' do, and gets the same compiled network.
Each is warmed up, so no compilation is timed. Then they take turns, round by round. Sizes are the
RMSE over all images, infinite where nothing was found. Whatever an attack calls found is judged
again by the same compiled network.

Prints a table, and writes benchmarks/results/attack_speed.json.
"""

import argparse
import importlib.util
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
import tensorflow as tf
import turns
from cleverhans.tf2.attacks.carlini_wagner_l2 import CarliniWagnerL2

from tfrobust import datasets
from tfrobust.attacks import DDN, FMN, L2Min, LinearizedMargin, Misclassified
from tfrobust.attacks.base import Attack, meets
from tfrobust.attacks.cleverhans import Constants, ResetAdam
from tfrobust.core.classifier import Model, answers
from tfrobust.models import published

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared"
FIRST = 3000
CW_SEARCHES = 5

# Images and labels → perturbed images; how many steps, 1 to warm up.
Run = Callable[[np.ndarray, np.ndarray, int], np.ndarray]


def carlini_wagner(model: Model, classes: int) -> Run:
    """CleverHans' attack with its two faults in batches mended (arXiv 1608.04644)."""

    @tf.function(jit_compile=True)
    def compiled(images: tf.Tensor) -> tf.Tensor:
        return model(images)

    attack = CarliniWagnerL2(compiled, batch_size=10**6, learning_rate=0.01)

    def run(images: np.ndarray, labels: np.ndarray, steps: int) -> np.ndarray:
        attack.y = tf.one_hot(labels, classes)
        attack.max_iterations = steps
        attack.binary_search_steps = CW_SEARCHES if steps > 1 else 1
        attack.initial_const = Constants(np.ones(len(images)))
        attack.optimizer = ResetAdam(attack.learning_rate)
        return attack.attack(images)

    return run


def foolbox_ddn(model: Model) -> Run:
    """Foolbox's attack on the compiled network."""
    from tfrobust.attacks.foolbox import import_foolbox

    foolbox = import_foolbox()

    @tf.function(jit_compile=True)
    def compiled(images: tf.Tensor) -> tf.Tensor:
        return model(images)

    bounded = foolbox.models.TensorFlowModel(compiled, bounds=(0, 1), device="/CPU:0")

    def run(images: np.ndarray, labels: np.ndarray, steps: int) -> np.ndarray:
        goal = foolbox.criteria.Misclassification(tf.constant(labels))
        attack = foolbox.attacks.DDNAttack(steps=steps)
        return attack.run(bounded, tf.constant(images), goal).numpy()

    return run


def ours(model: Model, kind: type[Attack], batch_size: int) -> Run:
    """One of our attacks, as anyone would call it."""

    def run(images: np.ndarray, labels: np.ndarray, steps: int) -> np.ndarray:
        return kind(steps=steps, bounds=(0.0, 1.0), batch_size=batch_size)(
            model, images, labels
        ).adversarials

    return run


def right_images(model: Model, count: int) -> tuple[np.ndarray, np.ndarray]:
    """The first images from FIRST on that the network has right."""
    source = datasets.load("cifar10", data_dir=SHARED / "tfds")
    images, labels = (part[FIRST:] for part in source.test_arrays(FIRST + 4 * count))
    right = np.argmax(answers(model, tf.constant(images)), -1) == labels
    return images[right][:count], labels[right][:count]


def main() -> None:
    """Measures, prints and writes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--block", type=int, default=50, help="images at a time, of every attack")
    parser.add_argument("--cw_steps", type=int, default=200, help="of each of five searches")
    parser.add_argument(
        "--output", type=Path, default=ROOT / "benchmarks" / "results" / "attack_speed.json"
    )
    flags = parser.parse_args()
    if not SHARED.is_dir():
        sys.exit(f"left out: there is no {SHARED} with the published network and CIFAR-10")
    machine = turns.machine()
    network = published.load(SHARED / "reference" / "resnet44-all.npz")
    classes = network.output_shape[-1]
    images, labels = right_images(network, flags.images)
    block = min(flags.block, len(images))
    if len(images) % block:
        sys.exit(
            f"expected a whole number of blocks, got {len(images)} images in blocks of {block}"
        )

    default = LinearizedMargin().steps
    attacks: dict[str, tuple[Run, int]] = {
        f"our projection ({default} steps)": (ours(network, LinearizedMargin, block), default),
        "our DDN (100 steps)": (ours(network, DDN, block), 100),
        "our FMN (100 steps)": (ours(network, FMN, block), 100),
        "the paper's L2,min (450 steps)": (ours(network, L2Min, block), 450),
        f"CleverHans CW-L2 ({CW_SEARCHES} × {flags.cw_steps} steps)": (
            carlini_wagner(network, classes),
            flags.cw_steps,
        ),
    }
    notes = []
    if importlib.util.find_spec("foolbox"):
        attacks["Foolbox DDN (100 steps)"] = (foolbox_ddn(network), 100)
    else:
        notes.append("Foolbox is not installed (pip install '.[foolbox]'): left out")

    def in_blocks(run: Run, steps: int) -> np.ndarray:
        parts = []
        for first in range(0, len(images), block):
            rows = slice(first, first + block)
            parts.append(run(images[rows], labels[rows], steps))
        return np.concatenate(parts)

    for name, (run, steps) in attacks.items():
        print(f"warming up {name}", file=sys.stderr, flush=True)
        # LinearizedMargin compiles some parts only from a certain number of steps on.
        run(images[:block], labels[:block], steps if "projection" in name else 2)
    seconds: dict[str, list[float]] = {name: [] for name in attacks}
    adversarials = {}
    for _ in range(flags.rounds):
        for name, (run, steps) in attacks.items():
            began = time.perf_counter()
            adversarials[name] = in_blocks(run, steps)
            seconds[name].append(time.perf_counter() - began)

    rows = {}
    for name, perturbed in adversarials.items():
        met = np.concatenate(
            [
                meets(
                    network,
                    Misclassified(),
                    tf.constant(perturbed[first : first + block]),
                    tf.constant(labels[first : first + block], tf.int32),
                )
                for first in range(0, len(images), block)
            ]
        )
        difference = perturbed.astype(np.float64) - images
        sizes = np.where(met, np.sqrt(np.mean(difference**2, axis=(1, 2, 3))), np.inf)
        rows[name] = {
            "median_rmse": float(f"{np.median(sizes):.6g}") if met.mean() > 0.5 else None,
            "mean_rmse_of_found": float(f"{sizes[met].mean():.6g}") if met.any() else None,
            "found": round(float(met.mean()), 4),
            "seconds": round(statistics.median(seconds[name]), 3),
            "seconds_of_rounds": [round(one, 3) for one in seconds[name]],
        }
    print("| attack | median RMSE | found | seconds |\n| --- | --- | --- | --- |")
    for name, row in rows.items():
        print(f"| {name} | {row['median_rmse']} | {row['found']:.0%} | {row['seconds']:.1f} |")
    print(*notes, sep="\n")
    results = {
        "command": f"python benchmarks/attack_speed.py --images {flags.images} "
        f"--rounds {flags.rounds} --block {flags.block} --cw_steps {flags.cw_steps}",
        "network": "published ResNet-44, robust loss + L2,min adversarial training",
        "images": f"the first {len(images)} that it has right from {FIRST} on of the CIFAR-10 "
        "(JPEG copy) test set; pixels stay in [0, 1]; misclassified",
        "machine": {**machine, "tensorflow": tf.__version__},
        "attacks": rows,
        "notes": notes,
    }
    turns.write(flags.output, results)


if __name__ == "__main__":
    main()
