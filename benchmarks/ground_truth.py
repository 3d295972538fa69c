"""Measures whether explanations are right, on pictures whose evidence is known.

    python benchmarks/ground_truth.py                     # lesions on Fashion-MNIST
    python benchmarks/ground_truth.py --data cifar10      # or imagenet: ../shared/tfds

Lesions of known place and kind are planted into pictures, and for two of four networks a scanner's
label that gives the class away (`datasets.plant`). A robust and a plain network learn each. Every
method explains the class that both networks rightly see, and is measured: whether it finds the
lesion, and whether it reveals that a network reads the label.

What is measured is kept in runs/ground_truth, so that the same command goes on where it stopped.
Prints the tables of the documentation, and writes benchmarks/results/ground_truth.json.
"""

import argparse
import functools
import itertools
import json
import os
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
import planted_networks
import tensorflow as tf
import turns

from tfrobust import as_classifier, datasets, explanations, metrics
from tfrobust.cli.asked import METHODS
from tfrobust.core.classifier import Classifier
from tfrobust.explanations.masked import MaskMethod
from tfrobust.metrics import table
from tfrobust.robustness.evaluate import evaluate

ROOT = Path(__file__).resolve().parents[1]
# Fewer questions than by default, for time.
SETTINGS: dict[str, dict[str, Any]] = {
    "SmoothGrad": {"samples": 8},
    "IntegratedGradients": {"steps": 16},
    "RISE": {"samples": 300},
    "LIME": {"samples": 200},
    "PartitionSHAP": {"evaluations": 150},
}
PARTS = ("found", "mark")
# Those that ask hundreds of times explain fewer images. Searches for another decision
# are only asked where they lead.
ASK_OFTEN = (MaskMethod, explanations.PartitionSHAP, explanations.SparseChange)
FEWER = 12


def methods() -> list[explanations.Method]:
    """g_explain+ and −, and what `tfrobust-explain --methods` knows and these networks can do."""
    lacking = {"Attention"} | (set() if find_spec("shap") else {"PartitionSHAP"})
    names = [name for name in METHODS.values() if name not in lacking]
    return [
        explanations.Adversarial(rho=0.1),
        explanations.Adversarial(rho=0.1, direction=-1),
        *(getattr(explanations, name)(**SETTINGS.get(name, {})) for name in names),
    ]


def mean(values: np.ndarray) -> dict[str, Any]:
    """The mean over images with its 95 % bootstrap interval."""
    kept = np.asarray(values, np.float64)
    low, high = table.interval(kept)
    return {
        "mean": round(float(kept.mean()), 4),
        "interval": [round(low, 4), round(high, 4)],
        "images": len(kept),
    }


def asked(method: explanations.Method, labels: np.ndarray) -> np.ndarray | None:
    """The classes that a method explains; None for methods that look for another one."""
    return None if isinstance(method, explanations.SmallestChange) else labels


def found(
    method: explanations.Method, network: Classifier, planted: datasets.Planted
) -> dict[str, Any]:
    """Whether maps lie on the lesions."""
    maps, lesions = (
        method(network, planted.images, asked(method, planted.labels)).map,
        planted.lesions,
    )
    return {
        "pointing": mean(metrics.pointing_game(maps, lesions)),
        "iou": mean(metrics.intersection_over_union(maps, lesions)),
        "average_precision": mean(metrics.average_precision(maps, lesions)),
    }


def revealed(
    method: explanations.Method,
    with_mark: Classifier,
    without: Classifier,
    planted: datasets.Planted,
) -> dict[str, Any]:
    """How much of a map lies on the label, for the network that reads it and for the other."""
    classes = asked(method, planted.labels)
    maps, others = (method(one, planted.images, classes).map for one in (with_mark, without))
    shares = [metrics.relevance_mass(one, planted.marks) for one in (maps, others)]
    return {
        "with": mean(shares[0]),
        "without": mean(shares[1]),
        "difference": mean(shares[0] - shares[1]),
        "points_at_mark": mean(metrics.pointing_game(maps, planted.marks)),
    }


def robust(network: Classifier, planted: datasets.Planted) -> dict[str, Any]:
    """How robust the network itself is."""
    report = evaluate(network, planted.images, planted.labels, preset="fast")
    return {"attack_ara": str(report.attack_ara)}


class Kept:
    """Results by name, each in a file of a folder, so that nothing is measured twice."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def make(self, name: str, make: Callable[[], dict[str, Any]]) -> None:
        """Measures what there is no file of yet."""
        path = self.folder / f"{name}.json"
        if path.exists():
            return
        began, began_cpu = time.perf_counter(), time.process_time()
        made = make()
        made["seconds"] = round(time.perf_counter() - began, 1)
        made["cpu_seconds"] = round(time.process_time() - began_cpu, 1)
        path.write_text(json.dumps(made))
        print(f"{name}: {made['seconds']:.0f} s, {made['cpu_seconds']:.0f} of a core", flush=True)

    def get(self, name: str) -> dict[str, Any] | None:
        """The result of that name."""
        path = self.folder / f"{name}.json"
        return json.loads(path.read_text()) if path.exists() else None


def main() -> None:
    """Trains, measures, prints and writes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", choices=("fashion", "cifar10", "imagenet"), default="fashion")
    parser.add_argument("--images", type=int, default=32, help="that both networks see rightly")
    parser.add_argument(
        "--kinds",
        nargs="+",
        choices=planted_networks.KINDS,
        default=planted_networks.KINDS,
        help="networks to measure now; what was measured of others stays",
    )
    parser.add_argument(
        "--output", type=Path, default=ROOT / "benchmarks" / "results" / "ground_truth.json"
    )
    flags = parser.parse_args()
    if flags.images < 1:
        sys.exit(f"expected --images of at least 1, got {flags.images}")
    folder = ROOT / "runs" / "ground_truth" / flags.data
    given = planted_networks.pictures(flags.data)
    networks = {
        (kind, marked): as_classifier(planted_networks.trained(kind, given, folder, marked=marked))
        for kind in planted_networks.KINDS
        for marked in (False, True)
    }
    # Every program runs a few times only: to compile it would take longer.
    tf.config.run_functions_eagerly(True)
    plain, marked = (planted_networks.tested(given, share) for share in (None, 1.0))
    seen = [
        networks[kind, False].network.predict(plain.images, verbose=0).argmax(-1) == plain.labels
        for kind in planted_networks.KINDS
    ]
    rows = np.nonzero(np.all(seen, axis=0))[0][: flags.images]
    plain, marked = (taken(one, rows) for one in (plain, marked))
    kept = Kept(folder / f"measured_{len(rows)}")
    # What is cheap comes first, so that a run that is stopped has told the most.
    quick = [method for method in methods() if not isinstance(method, ASK_OFTEN)]
    slow = [method for method in methods() if isinstance(method, ASK_OFTEN)]
    order = list(itertools.product(PARTS, planted_networks.KINDS, quick))
    order += itertools.product(PARTS, planted_networks.KINDS, slow)
    results: dict[str, Any] = {
        "command": f"python benchmarks/ground_truth.py --data {flags.data} --images {flags.images}",
        "images": f"{given.name}, first {len(rows)} test pictures that both networks see rightly",
        "lesion_share": round(float(plain.lesions.mean()), 4),
        "mark_share": round(float(marked.marks.mean()), 4),
        "machine": turns.machine(),
        "networks": {
            f"{kind}{' marked' if mark else ''}": planted_networks.facts(kind, folder, marked=mark)
            for kind, mark in networks
        },
        "methods": {},
    }
    for part, kind, method in order:
        searches = isinstance(method, explanations.SmallestChange)
        if kind not in flags.kinds or (searches and part != "found"):
            continue
        few = np.arange(FEWER if method in slow else flags.images)[: len(rows)]
        lesion, label = taken(plain, few), taken(marked, few)
        network, reader = (networks[kind, mark] for mark in (False, True))
        make: dict[str, Callable[[], dict[str, Any]]] = {
            "found": functools.partial(found, method, network, lesion),
            "mark": functools.partial(revealed, method, reader, network, label),
        }
        kept.make(f"{kind}, {method.name}, {part}", make[part])
    for kind in flags.kinds:
        kept.make(f"{kind}, ARA", functools.partial(robust, networks[kind, False], plain))
    for kind in planted_networks.KINDS:
        results["networks"][kind] |= kept.get(f"{kind}, ARA") or {}
    for part, kind, method in order:
        if (told := kept.get(f"{kind}, {method.name}, {part}")) is not None:
            of_method = results["methods"].setdefault(method.name, {})
            of_method.setdefault(kind, {})[part] = told
    turns.write(flags.output, results)
    print(f"\nwritten: {flags.output}")


def taken(planted: datasets.Planted, rows: np.ndarray) -> datasets.Planted:
    """Some rows."""
    arrays = ("images", "healthy", "labels", "lesions", "marks", "letters")
    return datasets.Planted(
        **{name: getattr(planted, name)[rows] for name in arrays}, class_names=planted.class_names
    )


if __name__ == "__main__":
    main()
