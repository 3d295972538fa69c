"""Measures whether explanations are right, on pictures whose evidence is known.

    python benchmarks/ground_truth.py                                         # Fashion-MNIST
    python benchmarks/ground_truth.py --data cifar10 --parts found mark       # photographs

Lesions of known place and kind are planted into pictures, and for two of four networks a scanner's
label that gives the class away (`datasets.plant`). A robust and a plain network learn each. Every
method explains the class that both networks rightly see, and is measured: whether it finds the
lesion, whether it reveals that a network reads the label, what becomes of it under four attacks
that keep the class, and by measures of fidelity. Learned attention is measured on four networks
that have a gate of attention and learned the same pictures.

What is measured is kept in runs/ground_truth, so that the same command goes on where it stopped.
Writes benchmarks/results/ground_truth.json and puts its tables into docs/figures/explanations.md.
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

import ground_truth_parts as parts
import ground_truth_tables
import numpy as np
import planted_networks
import tensorflow as tf
import turns

from tfrobust import as_classifier, explanations
from tfrobust.cli.asked import METHODS
from tfrobust.explanations.masked import MaskMethod

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
# Fewer questions than by default, for time, and more of them together: the networks are small.
SETTINGS: dict[str, dict[str, Any]] = {
    "SmoothGrad": {"samples": 8, "batch_size": parts.BATCH},
    "IntegratedGradients": {"steps": 16, "batch_size": parts.BATCH},
    "Occlusion": {"batch_size": parts.BATCH},
    "RISE": {"samples": 300, "batch_size": parts.BATCH},
    "LIME": {"samples": 200, "batch_size": parts.BATCH},
    "PartitionSHAP": {"evaluations": 150},
}
PARTS = ("found", "mark", "fidelity", "attacked")
# Those that ask hundreds of times explain fewer images, and are not attacked. Searches for another
# decision are only asked where they lead.
ASK_OFTEN = (MaskMethod, explanations.PartitionSHAP, explanations.SparseChange)
FEWER = 12


def methods() -> list[explanations.Method]:
    """g_explain+ and −, and every method that `tfrobust-explain --methods` knows."""
    names = [name for name in METHODS.values() if name != "PartitionSHAP" or find_spec("shap")]
    return [
        explanations.Adversarial(rho=0.1, batch_size=32),
        explanations.Adversarial(rho=0.1, direction=-1, batch_size=32),
        *(getattr(explanations, name)(**SETTINGS.get(name, {})) for name in names),
    ]


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
        turns.write(path, made)
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
        "--attacked", type=int, default=32, help="of these, whose maps are attacked"
    )
    parser.add_argument(
        "--parts", nargs="+", choices=PARTS, default=PARTS, help="what to measure now"
    )
    parser.add_argument(
        "--kinds",
        nargs="+",
        choices=planted_networks.KINDS,
        default=planted_networks.KINDS,
        help="networks to measure now; what was measured of others stays",
    )
    flags = parser.parse_args()
    if min(flags.images, flags.attacked) < 1:
        sys.exit(f"expected at least 1 image, got {flags.images} and {flags.attacked} attacked")
    machine = turns.machine()
    folder = ROOT / "runs" / "ground_truth" / flags.data
    given = planted_networks.pictures(flags.data)
    # Photographs take longer to learn.
    gates = (False, True) if flags.data == "fashion" else (False,)
    networks = {
        key: as_classifier(
            planted_networks.trained(key[0], given, folder, marked=key[1], attention=key[2])
        )
        for key in itertools.product(planted_networks.KINDS, (False, True), gates)
    }
    plain, marked = (planted_networks.tested(given, share) for share in (None, 1.0))
    seen = [
        networks[kind, False, False].network.predict(plain.images, verbose=0).argmax(-1)
        == plain.labels
        for kind in planted_networks.KINDS
    ]
    rows = np.nonzero(np.all(seen, axis=0))[0][: flags.images]
    plain, marked = (parts.taken(one, rows) for one in (plain, marked))
    kept = Kept(folder / f"measured_{len(rows)}_{flags.attacked}")
    # What is cheap comes first, so that a run that is stopped has told the most.
    quick = [method for method in methods() if not isinstance(method, ASK_OFTEN)]
    slow = [method for method in methods() if isinstance(method, ASK_OFTEN)]
    order = [
        *itertools.product(PARTS[:-1], planted_networks.KINDS, quick),
        *itertools.product(PARTS[:2], planted_networks.KINDS, slow),
        *itertools.product(PARTS[-1:], planted_networks.KINDS, quick),
    ]
    for part, kind, method in order:
        searches = isinstance(method, explanations.SmallestChange)
        if kind not in flags.kinds or part not in flags.parts or (searches and part != "found"):
            continue
        count = {"attacked": flags.attacked}.get(part, FEWER if method in slow else flags.images)
        lesion, label = (parts.taken(one, np.arange(len(rows))[:count]) for one in (plain, marked))
        gated = isinstance(method, explanations.Attention)
        if gated not in gates:
            continue
        network, reader = (networks[kind, mark, gated] for mark in (False, True))
        make: dict[str, Callable[[], dict[str, Any]]] = {
            "found": functools.partial(parts.found, method, network, lesion),
            "mark": functools.partial(parts.revealed, method, reader, network, label),
            "fidelity": functools.partial(parts.faithful, method, network, lesion),
            "attacked": functools.partial(parts.attacked, method, network, lesion),
        }
        # What runs a few times only is quicker as it is than compiled.
        tf.config.run_functions_eagerly(part != "attacked" and not searches)
        kept.make(f"{kind}, {method.name}, {part}", make[part])
    tf.config.run_functions_eagerly(False)
    for kind in flags.kinds:
        kept.make(
            f"{kind}, ARA", functools.partial(parts.robust, networks[kind, False, False], plain)
        )
    results: dict[str, Any] = {
        "command": " ".join(["python benchmarks/ground_truth.py", *sys.argv[1:]]),
        "pictures": given.name,
        "images": f"{given.name}, first {len(rows)} test pictures that both networks see rightly",
        "lesion_share": round(float(plain.lesions.mean()), 4),
        "mark_share": round(float(marked.marks.mean()), 4),
        "machine": machine,
        "networks": {
            f"{kind}{' marked' if mark else ''}{' attention' if gate else ''}": (
                planted_networks.facts(kind, folder, marked=mark, attention=gate)
            )
            for kind, mark, gate in networks
        },
        "methods": {},
    }
    for kind in planted_networks.KINDS:
        results["networks"][kind] |= kept.get(f"{kind}, ARA") or {}
    for part, kind, method in order:
        if (told := kept.get(f"{kind}, {method.name}, {part}")) is not None:
            of_method = results["methods"].setdefault(method.name, {})
            of_method.setdefault(kind, {})[part] = told
    measured = [
        *results["networks"].values(),
        *(told for kinds in results["methods"].values() for one in kinds.values()
          for told in one.values()),
    ]  # fmt: skip
    results["seconds"], results["cpu_seconds"] = (
        round(sum(part[name] for part in measured)) for name in ("seconds", "cpu_seconds")
    )
    output = RESULTS / ground_truth_tables.FILES[flags.data]
    turns.write(output, results)
    print(f"\nwritten: {output}, of {results['seconds']} s")
    ground_truth_tables.written(flags.data)


if __name__ == "__main__":
    main()
