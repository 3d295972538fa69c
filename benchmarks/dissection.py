"""Dissects robust and plain networks: which units see which concepts, and what hangs on them.

    python benchmarks/dissection.py

- Planted concepts: the networks of ground_truth.py, of which it is known what decides. Those that
  read lesions must have units for lesions, and those that read the label for its letters.
- Real concepts: a robust and a plain network that learned the ten clothes of the embedded
  Fashion-MNIST, dissected for the cloth of each kind: the bright pixels of the pictures of one
  class.

Networks and results are kept in runs/ground_truth, so that the same command goes on where it
stopped. Writes benchmarks/results/dissection.json, and its table into docs/figures/explanations.md.
"""

import functools
import itertools
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import ground_truth_findings
import ground_truth_tables
import keras
import numpy as np
import planted_networks
import turns
from ground_truth import Kept

from tfrobust import datasets, explanations

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "runs" / "ground_truth" / "fashion"
OUTPUT = ROOT / "benchmarks" / "results" / "dissection.json"
BEGIN = "<!-- begin: made by benchmarks/dissection.py -->"
HEAD = """## Dissection

Which units [detect](../guides/dissect.md) which concepts, on a robust and a plain network. Of the
planted pictures it is known what decides: the lesion, or the label's letter. The real concepts are
the cloth of ten kinds of clothes, on networks that learned to tell these apart. "Without them" is
the mean accuracy over classes when the best detectors of the last layer are switched off, up to 16,
and when as many other units are, drawn 20 times.

<!-- not run: takes minutes -->
```sh
python benchmarks/dissection.py
```"""
# Lesions and letters are about a twentieth of a picture, and each kind is in a third of them.
ACTIVE_SHARE = 0.02
CLOTH_SHARE = 0.05
CLOTH = 0.1  # a pixel of cloth is brighter than that
LOSS_TARGET = 0.8  # of ten classes
NAMES = (
    *(
        f"{kind}, reads the {read}"
        for read in ("lesion", "label")
        for kind in planted_networks.KINDS
    ),
    *(f"{kind}, clothes" for kind in planted_networks.KINDS),
)
MOST, DRAWS = 16, 20  # units that are switched off, and how often as many others are


def planted_concepts(planted: datasets.Planted) -> dict[str, np.ndarray]:
    """Where each kind of lesion is, and each letter of the label: bool (N, H, W)."""
    letters = tuple(datasets.planted.LETTERS)
    concepts = {
        name: planted.lesions & (planted.labels == kind)[:, None, None]
        for kind, name in enumerate(planted.class_names)
    }
    for letter in np.unique(planted.letters):
        concepts[f"label {letters[letter]}"] = (
            planted.marks & (planted.letters == letter)[:, None, None]
        )
    return concepts


def clothes(images: np.ndarray, labels: np.ndarray, names: tuple[str, ...]) -> dict[str, Any]:
    """Where there is cloth of each kind: bool (N, H, W)."""
    cloth = images[..., 0] > CLOTH
    return {name: cloth & (labels == kind)[:, None, None] for kind, name in enumerate(names)}


def measured(
    network: keras.Model,
    images: np.ndarray,
    concepts: Mapping[str, np.ndarray],
    active_share: float,
    judged: tuple[np.ndarray, np.ndarray],
) -> dict[str, Any]:
    """Detectors of each concept, and the accuracy without the best of them.

    Args:
        network: of Keras, images → logits.
        images: in which the concepts are.
        concepts: name → bool (N, H, W).
        active_share: as for `dissect`.
        judged: images and labels on which the accuracy is measured.
    """
    found = explanations.dissect(network, images, concepts, active_share=active_share)
    rows = {
        concept: {"detectors": len(units), "best": units[0]._asdict() if units else None}
        for concept, units in found.detectors().items()
    }
    last = list(found.iou)[-1]
    most = min(MOST, len(found.iou[last]) // 2)  # so that there are as many others
    chosen = [unit for unit in found.units() if unit.layer == last and unit.is_detector]
    chosen = sorted(chosen, key=lambda unit: unit.by_chance - unit.iou)[:most]
    predicted = network.predict(judged[0], verbose=0).argmax(-1)
    told: dict[str, Any] = {
        "units": sum(len(overlaps) for overlaps in found.iou.values()),
        "concepts": rows,
        "accuracy": float(np.mean(predicted == judged[1])),
    }
    if chosen:
        units = [unit.unit for unit in chosen]
        lost = explanations.ablate(network, *judged, layer=last, units=units, draws=DRAWS)
        told["switched_off"] = {
            "layer": last,
            "units": len(units),
            "before": round(float(np.nanmean(lost.before)), 4),
            "after": round(float(np.nanmean(lost.after)), 4),
            "others": [round(float(one), 4) for one in np.nanmean(lost.at_random, axis=1)],
        }
    return told


def section(results: dict[str, Any]) -> str:
    """What the page shows between BEGIN and END."""
    heads = "| network | accuracy | detectors of | its best unit: IoU (by chance) | without them |"
    lines = [heads, "| --- " * 5 + "|"]
    for name, told in results["networks"].items():
        counts, best = [], []
        for concept, row in told["concepts"].items():
            if row["detectors"]:
                counts.append(f"{concept} {row['detectors']}")
                unit = row["best"]
                best.append(f"{concept} {unit['iou']:.2f} ({unit['by_chance']:.2f})")
        without = "–"
        if (lost := told.get("switched_off")) is not None:
            others = f"{min(lost['others']):.2f} to {max(lost['others']):.2f}"
            without = f"{lost['units']} units: {lost['after']:.2f}; as many others: {others}"
        cells = [
            f"{told['accuracy']:.2f}",
            f"{ground_truth_findings.listed(counts)}, of {told['units']} units",
            ", ".join(best) or "–",
            without,
        ]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n\n".join([BEGIN, HEAD, "\n".join(lines), ground_truth_tables.END])


def planted_ones(kept: Kept) -> None:
    """The four networks that learned planted pictures, on pictures with lesion and label."""
    given = planted_networks.pictures("fashion")
    planted, unmarked = (planted_networks.tested(given, share) for share in (1.0, None))
    for marked, kind in itertools.product((False, True), planted_networks.KINDS):
        network = planted_networks.trained(kind, given, FOLDER, marked=marked)
        # A network that reads lesions never saw a label, which would mislead it.
        judged = planted if marked else unmarked
        ask = functools.partial(
            measured,
            network,
            planted.images,
            planted_concepts(planted),
            ACTIVE_SHARE,
            (judged.images, judged.labels),
        )
        kept.make(f"{kind}, reads the {'label' if marked else 'lesion'}", ask)


def real_ones(kept: Kept) -> None:
    """A robust and a plain network of clothes, on pictures that they did not learn."""
    source = datasets.load("fashion_mnist_mini")
    images, labels = source.test_arrays(planted_networks.TEST_IMAGES)
    count = planted_networks.TRAIN_IMAGES
    known, classes = next(iter(source.train(count, seed=0, augmentation="none")))[:2]
    images, known = planted_networks.unit(images), planted_networks.unit(np.asarray(known))
    concepts = clothes(images, labels, tuple(source.info.class_names))
    for kind in planted_networks.KINDS:
        path = FOLDER / f"{kind}_clothes.keras"
        if not path.exists():
            network = planted_networks.learned(kind, known, np.asarray(classes), LOSS_TARGET)
            turns.save(network, path)
        network = keras.saving.load_model(path)
        ask = functools.partial(measured, network, images, concepts, CLOTH_SHARE, (images, labels))
        kept.make(f"{kind}, clothes", ask)


def main() -> None:
    """Measures what there is no result of yet, and writes all."""
    kept = Kept(FOLDER / "dissected")
    planted_ones(kept)
    real_ones(kept)
    results = {
        "command": "python benchmarks/dissection.py",
        "images": f"{planted_networks.TEST_IMAGES} test pictures of the embedded Fashion-MNIST",
        "machine": turns.machine(),
        "networks": {name: kept.get(name) for name in NAMES},
    }
    turns.write(OUTPUT, results)
    ground_truth_tables.put(BEGIN, section(results))


if __name__ == "__main__":
    main()
