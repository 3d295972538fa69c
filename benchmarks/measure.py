"""Measures the robust network of the embedded set against its plain twin.

    python benchmarks/measure.py [--thorough]

It trains both recipes, unless that was done before. It attacks the same 500 test images of each by
the recipes' preset, and with --thorough also by the strongest one. It prints a table and writes

- tfrobust/runs/twins/fashion_mnist_mini.json: the plain twin's figures, with which every run of the
  default recipe compares itself;
- benchmarks/results/measure.json: the figures of the table;
- docs/images/: pictures of explanations.
"""

import argparse
import dataclasses
import json
import os
import shutil
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from tfrobust import datasets
from tfrobust.core.files import write_atomically
from tfrobust.core.loading import load
from tfrobust.explanations import overview
from tfrobust.robustness import AraReport, compare
from tfrobust.robustness.evaluate import evaluate
from tfrobust.runs import recipes, stages

ROOT = Path(__file__).resolve().parents[1]
RUNS = ROOT / "runs" / "measure"
IMAGES = 500


def measured(name: str) -> tuple[AraReport, Path]:
    """Trains and measures a recipe, unless that was done; → its report and run folder."""
    config = recipes.RECIPES[name]().replace({"measure.images": IMAGES})
    folder = RUNS / name
    if not (folder / "finished.json").exists():
        stages.run(config, run_dir=folder, saved_models=RUNS / "saved_models")
    return AraReport.from_json(folder / "ara.json"), folder


def thoroughly(folder: Path) -> AraReport:
    """Measures a finished run's network by the strongest preset."""
    model = json.loads((folder / "finished.json").read_text())["model"]
    source = datasets.load("fashion_mnist_mini")
    report = evaluate(
        load(model),
        *source.test_arrays(IMAGES),
        preset="thorough",
        name=folder.name,
        data=f"{source.info.name}, first {IMAGES} test images",
        class_names=source.info.class_names,
        partial_dir=folder / "thorough",
    )
    report.to_html(folder / "thorough.html")
    return report


def pictures(robust: Path, plain: Path) -> None:
    """The README's pictures: the same test images explained on both networks."""
    target = ROOT / "docs" / "images"
    source = datasets.load("fashion_mnist_mini")
    images, labels = source.test_arrays(4)
    for name, folder in (("robust", robust), ("plain", plain)):
        model = json.loads((folder / "finished.json").read_text())["model"]
        shown = overview(load(model), images)
        path = target / f"explanations_{name}.png"
        shown.to_png(path, source.info.class_names, labels=labels)


def row(report: AraReport) -> str:
    """A line of the README's table."""
    return (
        f"| {report.name} | {report.clean_accuracy:.3f} | {report.attack_ara} | {report.btr_ara} |"
    )


def main() -> None:
    """Trains, measures, prints and writes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--thorough", action="store_true", help="an hour more of attacks")
    flags = parser.parse_args()
    plain, plain_folder = measured("fashion_mnist_mini_plain")
    robust, robust_folder = measured("fashion_mnist_mini")
    twin = ROOT / "tfrobust" / "runs" / "twins" / "fashion_mnist_mini.json"
    twin.parent.mkdir(exist_ok=True)
    shutil.copyfile(plain_folder / "ara.json", twin)
    pictures(robust_folder, plain_folder)
    if flags.thorough:
        plain, robust = thoroughly(plain_folder), thoroughly(robust_folder)
    ratios = compare(robust, plain)
    print("| network | clean accuracy | attack ARA | BTR ARA |\n| --- | --- | --- | --- |")
    print(row(plain))
    print(row(robust))
    print(f"attacks: {' + '.join(robust.attack_names)}; {robust.data}")
    for report in (plain, robust):
        for warning in report.warnings:
            print(f"{report.name}: {warning}")
    print(f"robust / plain: attack ARA {ratios.attack}, BTR ARA {ratios.btr}")
    results = {
        "command": "python benchmarks/measure.py" + (" --thorough" if flags.thorough else ""),
        "attacks": robust.attack_names,
        "images": robust.data,
        **{
            report.name: {
                "clean_accuracy": report.clean_accuracy,
                "attack_ara": dataclasses.asdict(report.attack_ara),
                "btr_ara": dataclasses.asdict(report.btr_ara),
            }
            for report in (plain, robust)
        },
        "attack_ratio": dataclasses.asdict(ratios.attack),
        "btr_ratio": dataclasses.asdict(ratios.btr),
    }
    write_atomically(
        ROOT / "benchmarks" / "results" / "measure.json",
        (json.dumps(results, indent=1) + "\n").encode(),
    )
    if robust.clean_accuracy < 0.8 or ratios.attack.value is None or ratios.attack.value < 3:
        sys.exit("missed: clean accuracy of at least .80 with 3 times the twin's attack ARA")


if __name__ == "__main__":
    main()
