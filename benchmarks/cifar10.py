"""Compares the shipped CIFAR-10 network with the published one, on the same test images.

    python benchmarks/cifar10.py --data_dir ../shared/tfds --reference ../shared/reference

It attacks both by the preset "standard", on the first 1,000 test images that are not among the 128
of the reference. Our network is also attacked at the temperature at which both are equally sure.
With --mirrored the published network is also attacked after it was mirrored as ours is, which takes
most of the time. An interrupted measurement goes on.

Prints a table with the paired ratios of the areas, and writes benchmarks/results/cifar10.json; with
--preset thorough, cifar10_thorough.json. `python benchmarks/leaderboard.py` puts the first into
saved_models/README.md.
"""

import argparse
import dataclasses
import os
import sys
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
import turns
from scipy.optimize import brentq
from scipy.special import softmax

ROOT = Path(__file__).resolve().parents[1]
# Mean difference in grey levels. A photograph that went through JPEG differs from itself by about
# one. Even the most similar of two different photographs differ by far more.
SAME = 3.0


def copies(originals: np.ndarray, images: np.ndarray) -> np.ndarray:
    """Where the copies of images are, which went through JPEG.

    Args:
        originals: uint8 (M, H, W, C).
        images: uint8 (N, H, W, C).

    Returns:
        int (M,), indices into `images`.
    """
    flat, found = images.reshape(len(images), -1).astype(np.int16), []
    for original in originals.reshape(len(originals), -1).astype(np.int16):
        apart = np.abs(flat - original).mean(axis=1)
        if (apart < SAME).sum() != 1:
            sys.exit(
                "expected one copy of each image of the reference among the test images, found "
                f"{(apart < SAME).sum()}; take --data_dir ../shared/tfds"
            )
        found.append(int(apart.argmin()))
    return np.array(found)


def confidence(logits: np.ndarray, temperature: float = 1.0) -> float:
    """The mean largest probability of logits (N, K), divided by a temperature."""
    return float(softmax(logits / temperature, axis=1).max(axis=1).mean())


def main() -> None:
    """Measures, prints and writes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data_dir", required=True, help="of TensorFlow Datasets")
    parser.add_argument("--reference", type=Path, required=True, help="the published network's")
    parser.add_argument("--model", type=Path, default=ROOT / "saved_models" / "cifar10")
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--mirrored", action="store_true", help="the published one mirrored, too")
    parser.add_argument("--preset", choices=("standard", "thorough"), default="standard")
    parser.add_argument("--output", type=Path)
    flags = parser.parse_args()
    suffix = "" if flags.preset == "standard" else f"_{flags.preset}"
    output = flags.output or ROOT / "benchmarks" / "results" / f"cifar10{suffix}.json"
    partial = ROOT / "runs" / f"cifar10{suffix}"
    weights = flags.reference / "resnet44-all.npz"
    if not weights.is_file():
        parser.error(f"expected the published network at {weights}")
    import keras

    from tfrobust import datasets
    from tfrobust.core.loading import load
    from tfrobust.models import mirrored, published
    from tfrobust.robustness import compare
    from tfrobust.robustness.evaluate import evaluate

    source = datasets.load("cifar10", data_dir=flags.data_dir)
    images, labels = source.test_arrays(source.info.test_images)
    known = np.load(flags.reference / "resnet44-all.expected.npz")["images"]
    known = copies(known, np.rint(images * 255).astype(np.uint8))
    chosen = np.setdiff1d(np.arange(len(images)), known)[: flags.images]
    network, rival = load(flags.model), published.load(weights)
    # The distance to a probability of 1/K depends on the scale of the logits, that to another
    # decision does not. So BTR ARAs are comparable only where both networks are equally sure.
    logits = network.predict(images[chosen], verbose=0)
    sure = confidence(rival.predict(images[chosen], verbose=0))
    temperature = brentq(lambda scale: confidence(logits, scale) - sure, 0.01, 100)
    as_sure = keras.Sequential([network, keras.layers.Rescaling(1 / temperature)])
    networks = {
        "cifar10": network,
        "published ResNet-44": rival,
        f"cifar10, logits / {temperature:.2f}": as_sure,
    }
    if flags.mirrored:
        networks["published ResNet-44, mirrored"] = mirrored(rival)
    reports = {}
    for name, measured in networks.items():
        reports[name] = evaluate(
            measured,
            images[chosen],
            labels[chosen],
            preset=flags.preset,
            name=name,
            data=f"{source.info.name}, the first {len(chosen)} test images outside the reference",
            class_names=source.info.class_names,
            partial_dir=partial / name.replace(" ", "_").replace("/", "by"),
        )
    ours, theirs, ours_as_sure, *theirs_mirrored = reports.values()
    ratios = {
        name: compare(ours, each)
        for name, each in zip(
            ("ours to theirs", "ours to theirs mirrored"), (theirs, *theirs_mirrored), strict=False
        )
    }
    results: dict[str, Any] = {
        "command": f"python benchmarks/cifar10.py --data_dir {flags.data_dir} "
        f"--reference {flags.reference} --images {flags.images}"
        + " --mirrored" * flags.mirrored
        + f" --preset {flags.preset}" * bool(suffix),
        "machine": turns.machine(),
        "data": ours.data,
        "attacks": ours.attack_names,
        # Of the areas, resampled pair by pair: it excludes 1 where the difference excludes 0.
        **{
            name: {
                "attack_ara": dataclasses.asdict(ratio.attack),
                "btr_ara": dataclasses.asdict(ratio.btr),
            }
            for name, ratio in ratios.items()
        },
        "ours as sure to theirs": {
            "btr_ara": dataclasses.asdict(compare(ours_as_sure, theirs).btr),
        },
        "temperature": temperature,
        "mean confidence": {"cifar10": confidence(logits), "published ResNet-44": sure},
    }
    print("| network | clean accuracy | attack ARA | BTR ARA |\n| --- | --- | --- | --- |")
    for name, report in reports.items():
        results[name] = {
            "clean_accuracy": report.clean_accuracy,
            "attack_ara": dataclasses.asdict(report.attack_ara),
            "btr_ara": dataclasses.asdict(report.btr_ara),
            "warnings": report.warnings,
        }
        areas = f"{report.attack_ara} | {report.btr_ara}"
        print(f"| {name} | {report.clean_accuracy:.3f} | {areas} |")
    for name, ratio in ratios.items():
        print(f"{name}: attack ARA {ratio.attack}, BTR ARA {ratio.btr}")
    turns.write(output, results)
    print(f"written: {output}")


if __name__ == "__main__":
    main()
