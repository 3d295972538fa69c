"""Measures how far explanations can be trusted, on the robust network and on its plain twin.

    make bench-explanations       # or: python benchmarks/explanations.py --images 32

The networks are those that benchmarks/measure.py trained; --robust and --plain name others. On the
same test images of the embedded set, every method is measured: whether the confidence follows,
deletion, insertion, randomised weights, noise (`metrics.compare`); and how its maps change under an
attack that keeps the class (`metrics.compare_manipulated`).

Prints the tables of the documentation, and writes benchmarks/results/explanations.json.
"""

import argparse
import os
import sys
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
import turns

from tfrobust import datasets, explanations, metrics
from tfrobust.metrics import table

ROOT = Path(__file__).resolve().parents[1]
BATCH = 256  # images that the network sees at a time: it is small
MODELS = ROOT / "runs" / "measure" / "saved_models"


def methods() -> list[explanations.Method]:
    """The methods that the tables compare."""
    return [
        explanations.Adversarial(rho=0.1, batch_size=32),
        explanations.Adversarial(rho=0.1, direction=-1, batch_size=32),
        explanations.GradCAM(),
        explanations.VanillaGradients(),
        explanations.GradientsInputs(),
        explanations.IntegratedGradients(batch_size=BATCH),
        explanations.SmoothGrad(batch_size=BATCH),
        explanations.Occlusion(batch_size=BATCH),
    ]


def told(found: metrics.Table) -> dict[str, Any]:
    """A table as JSON: the mean and the interval of each field."""
    rows: dict[str, Any] = {}
    for name, fields in found.rows.items():
        rows[name] = {
            column: None
            if values is None
            else {
                "mean": round(float(np.mean(values)), 4),
                "interval": [round(end, 4) for end in table.interval(values)],
            }
            for column, values in zip(found.columns, fields, strict=True)
        }
    return {"rows": rows, "note": found.note}


def main() -> None:
    """Measures, prints and writes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--robust", type=Path, default=MODELS / "fashion_mnist_mini")
    parser.add_argument("--plain", type=Path, default=MODELS / "fashion_mnist_mini_plain")
    parser.add_argument("--images", type=int, default=32, help="of the embedded test images")
    parser.add_argument("--rho", type=float, default=0.01, help="RMSE of the attacks on maps")
    parser.add_argument("--steps", type=int, default=40, help="of the attacks on maps")
    parser.add_argument(
        "--output", type=Path, default=ROOT / "benchmarks" / "results" / "explanations.json"
    )
    flags = parser.parse_args()
    if flags.images < 1:
        sys.exit(f"expected --images of at least 1, got {flags.images}")
    if not (flags.robust.exists() and flags.plain.exists()):
        sys.exit(f"expected networks at {flags.robust} and {flags.plain}: run `make measure`")
    from tfrobust.core.loading import load

    machine = turns.machine()
    source = datasets.load("fashion_mnist_mini")
    images, _ = source.test_arrays(flags.images)
    attack = metrics.Manipulation(rho=flags.rho, steps=flags.steps, batch_size=BATCH)
    results: dict[str, Any] = {
        "command": f"python benchmarks/explanations.py --images {flags.images} --rho {flags.rho:g} "
        f"--steps {flags.steps}",
        "images": f"first {len(images)} test images of the embedded set",
        "machine": machine,
    }
    for name, path in (("robust", flags.robust), ("plain", flags.plain)):
        network = load(path)
        began = time.perf_counter()
        compared = metrics.compare(network, images, methods())
        attacked = metrics.compare_manipulated(attack, network, images, methods())
        seconds = round(time.perf_counter() - began, 1)
        print(f"\n### {name} network, {seconds:.0f} s\n\n{compared}\n\n{attacked}", flush=True)
        results[name] = {
            "seconds": seconds,
            "fidelity": told(compared),
            "attacked": told(attacked),
        }
    turns.write(flags.output, results)
    print(f"\nwritten: {flags.output}")


if __name__ == "__main__":
    main()
