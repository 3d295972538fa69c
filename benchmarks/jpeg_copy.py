"""What it is worth to be measured on CIFAR-10's JPEG copy instead of the original images.

    python benchmarks/jpeg_copy.py --data_dir ../shared/tfds --reference ../shared/reference

The pixels of the copy went through JPEG once. Ours were trained on it, the published network on
the originals. The reference holds 128 originals; their copies are found among the test images, and
each network is attacked on both by the preset "standard". The ratio of the areas is of the same
pictures. An interrupted measurement goes on.

Prints a table and writes benchmarks/results/jpeg_copy.json.
"""

import argparse
import dataclasses
import os
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
import turns
from cifar10 import copies

ROOT = Path(__file__).resolve().parents[1]
SETS = ("originals", "JPEG copies")


def main() -> None:
    """Measures, prints and writes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data_dir", required=True, help="of TensorFlow Datasets")
    parser.add_argument("--reference", type=Path, required=True, help="the published network's")
    parser.add_argument("--networks", nargs="+", default=["cifar10"], help="of saved_models/")
    parser.add_argument("--images", type=int, default=128, help="at most 128")
    parser.add_argument("--preset", choices=("fast", "standard"), default="standard")
    parser.add_argument("--output", type=Path, default=ROOT / "benchmarks/results/jpeg_copy.json")
    flags = parser.parse_args()
    weights = flags.reference / "resnet44-all.npz"
    if not weights.is_file():
        parser.error(f"expected the published network at {weights}")

    from tfrobust import datasets
    from tfrobust.core.ara import area_ratio
    from tfrobust.core.loading import load
    from tfrobust.models import published
    from tfrobust.robustness.evaluate import evaluate

    known = np.load(flags.reference / "resnet44-all.expected.npz")
    originals, labels = known["images"][: flags.images], known["labels"][: flags.images]
    source = datasets.load("cifar10", data_dir=flags.data_dir)
    tests, _ = source.test_arrays(source.info.test_images)
    found = copies(originals, np.rint(tests * 255).astype(np.uint8))
    images = dict(zip(SETS, (originals.astype(np.float32) / 255, tests[found]), strict=True))
    networks = {name: load(ROOT / "saved_models" / name) for name in flags.networks}
    networks["published ResNet-44"] = published.load(weights)
    partial = ROOT / "runs" / "jpeg_copy" / f"{flags.preset}_{len(originals)}"
    results: dict[str, Any] = {
        "command": f"python benchmarks/jpeg_copy.py --data_dir {flags.data_dir} --reference "
        f"{flags.reference} --networks {' '.join(flags.networks)} --images {flags.images} "
        f"--preset {flags.preset}",
        "machine": turns.machine(),
        "images": len(originals),
        "apart": float(np.abs(images[SETS[0]] - images[SETS[1]]).mean() * 255),
        "networks": {},
    }
    print("| network | images | clean accuracy | attack ARA | BTR ARA |")
    print("| --- | --- | --- | --- | --- |")
    for name, network in networks.items():
        row = results["networks"][name] = {}
        reports = []
        for told, given in images.items():
            report = evaluate(
                network,
                given,
                labels,
                preset=flags.preset,
                name=name,
                data=f"{told} of {len(originals)} test images of CIFAR-10",
                partial_dir=partial / f"{name} {told}".replace(" ", "_"),
            )
            reports.append(report)
            row[told] = {
                "clean_accuracy": report.clean_accuracy,
                "attack_ara": dataclasses.asdict(report.attack_ara),
                "btr_ara": dataclasses.asdict(report.btr_ara),
            }
            areas = f"{report.attack_ara} | {report.btr_ara}"
            print(f"| {name} | {told} | {report.clean_accuracy:.3f} | {areas} |", flush=True)
        original, copy = reports
        # Of the same pictures: each resample takes both forms of a picture, or neither.
        attack, btr = (
            area_ratio(of_copy, of_original, copy.num_classes, paired=True)
            for of_copy, of_original in (
                (copy.attack_rmse, original.attack_rmse),
                (copy.btr_rmse, original.btr_rmse),
            )
        )
        row["copies to originals"] = {
            "attack_ara": dataclasses.asdict(attack),
            "btr_ara": dataclasses.asdict(btr),
        }
        print(f"| {name} | copies / originals | | {attack} | {btr} |", flush=True)
        turns.write(flags.output, results)
    print(f"written: {flags.output}")


if __name__ == "__main__":
    main()
