"""Compares the two walks to an explanation: how sure the network is at the end of each.

    python benchmarks/explanation_walks.py

g_explain+ should end as sure of its class as it can be, g_explain− as unsure. Measured are the
shipped networks, and the published ResNet-44 where its weights are on this machine, on the first 64
test images at RMSE 0.1: the predicted class both ways, and what would make its likeliest rival
surer. The mark: median and mean of our walk's confidences are no worse than those of the paper's 35
steps.

Prints a table, and writes benchmarks/results/explanation_walks.json.
"""

import argparse
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
import turns

HERE = Path(__file__).resolve().parent
RHO, BATCH = 0.1, 64
WALKS = ("frank_wolfe", "paper")


def networks(shared: Path) -> Iterator[tuple[str, Any, str, Path | None]]:
    """Name, network, data set and its folder."""
    import tfrobust

    yield "fashion_mnist_mini", tfrobust.load("fashion_mnist_mini"), "fashion_mnist_mini", None
    if not (shared / "tfds").is_dir():
        print(f"there is no {shared}: networks of CIFAR-10 are left out", file=sys.stderr)
        return
    yield "cifar10", tfrobust.load("cifar10"), "cifar10", shared / "tfds"
    weights = shared / "reference" / "resnet44-all.npz"
    network = tfrobust.models.published.load(weights)
    yield "published ResNet-44", network, "cifar10", shared / "tfds"


def no_worse(sign: int, ours: dict[str, float], papers: dict[str, float]) -> bool:
    """Whether g_explain+ ends as sure, or g_explain− as unsure, by median and mean."""
    return all(sign * (ours[field] - papers[field]) >= 0 for field in ("median", "mean"))


def main() -> None:
    """Measures, prints and writes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--shared", type=Path, default=HERE.parents[1] / "shared")
    parser.add_argument("--output", type=Path, default=HERE / "results" / "explanation_walks.json")
    flags = parser.parse_args()
    machine = turns.machine()
    import tensorflow as tf

    import tfrobust

    rows: dict[str, dict[str, Any]] = {}
    print("| network | asked | before | paper's walk | ours |  |\n" + "| --- " * 6 + "|")
    for name, network, dataset, folder in networks(flags.shared):
        data = tfrobust.datasets.load(dataset, data_dir=folder and str(folder))
        images = data.test_arrays(flags.images)[0]
        predicted = np.full(len(images), -1)
        rivals = tfrobust.explanations.rivals(network, images)
        questions = {
            "predicted class, surer": (predicted, 1),
            "predicted class, less sure": (predicted, -1),
            "rival, surer": (rivals, 1),
        }
        for asked, (targets, sign) in questions.items():
            row: dict[str, Any] = {}
            for walk in WALKS:
                found = tfrobust.explain(
                    network,
                    images,
                    targets,
                    rho=RHO,
                    direction=sign,
                    walk=walk,
                    batch_size=BATCH,
                )
                row["before"] = float(np.median(found.confidence_before))
                row[walk] = {
                    "median": float(np.median(found.confidence_after)),
                    "mean": float(found.confidence_after.mean()),
                    "least_rmse": float(found.rmse.min()),
                }
            row["met"] = no_worse(sign, row["frank_wolfe"], row["paper"])
            rows[f"{name}, {asked}"] = row
            told = [f"{row[w]['median']:.4g}, mean {row[w]['mean']:.4g}" for w in WALKS]
            print(
                f"| {name} | {asked} | {row['before']:.3f} "
                f"| {told[1]} | {told[0]} | {'met' if row['met'] else 'MISSED'} |",
                flush=True,
            )
        turns.write(
            flags.output,
            {
                "command": f"python benchmarks/explanation_walks.py --images {flags.images}",
                "machine": {**machine, "tensorflow": tf.__version__},
                "rho": RHO,
                "images": flags.images,
                "rows": rows,
            },
        )
    print(f"written: {flags.output}")


if __name__ == "__main__":
    main()
