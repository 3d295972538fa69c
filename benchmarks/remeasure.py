"""Measures the shipped networks anew by the present attacks, without training them anew.

    make remeasure           # or: python benchmarks/remeasure.py --data_dir ../shared/tfds

Each network is attacked by the preset `standard`, on as many of the first test images of its data
set as its card tells of: with pixels that may leave [0, 1], and again within. The card gets the new
figures, attacks and checks, and the day of the measurement. What does not rest on an attack stays:
the training, the certificates, the forms and how far they are apart. So does the plain twin, with
the attacks of its own measurement. At last the leaderboard is written from the cards.

What is finished is kept in runs/remeasure/, so a second call goes on where a first one ended. A
network whose data is not on this machine is left out. A table shows the old figures and the new.
"""

import argparse
import dataclasses
import json
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import leaderboard

import tfrobust
from tfrobust.certification.lipschitz import certify_lipschitz
from tfrobust.exporting import card as model_card
from tfrobust.robustness.presets import pool_of
from tfrobust.runs.card_figures import box_figures, report_figures

ROOT = Path(__file__).resolve().parents[1]
RUNS = ROOT / "runs" / "remeasure"
EMBEDDED = "fashion_mnist_mini"
CERTIFIED = "certified ARA of the network itself"
AREAS = ("attack ARA", "BTR ARA")


def source_of(card: dict[str, Any], data_dir: Path) -> Any:
    """The card's data set; None where it is not on this machine."""
    name = card["figures"]["images"].split(",")[0]
    if name != EMBEDDED and not data_dir.is_dir():
        print(f"{card['name']}: left out, as there is no {data_dir}", file=sys.stderr)
        return None
    return tfrobust.datasets.load(name, data_dir=None if name == EMBEDDED else str(data_dir))


def measured(folder: Path, card: dict[str, Any], source: Any, images: int) -> dict[str, Any]:
    """The figures of a version's network that rest on attacks.

    Args:
        folder: the version's folder.
        card: its card.
        source: its data set.
        images: how many test images are attacked.
    """
    network = tfrobust.load(folder)
    common: dict[str, Any] = {
        "preset": "standard",
        "pool": pool_of(source),
        "data": f"{source.info.name}, first {images} test images",
        "class_names": card["classes"],
    }
    asked = network, *source.test_arrays(images)
    kept = RUNS / card["name"] / str(images)
    free = tfrobust.evaluate(*asked, **common, partial_dir=kept / "free")
    if CERTIFIED in card["figures"]:
        # A report refuses an attack that found less than its certificate allows.
        free = dataclasses.replace(free, lipschitz=certify_lipschitz(*asked))
    box = tfrobust.evaluate(*asked, **common, bounds=(0, 1), partial_dir=kept / "box")
    return report_figures(free) | box_figures(box)


def told(figures: dict[str, Any], name: str) -> str:
    """An area with its interval."""
    area = figures[name]
    return f"{area['value']:.4f} [{area['low']:.4f}, {area['high']:.4f}]"


def main() -> None:
    """Measures, prints and writes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data_dir", type=Path, default=ROOT.parent / "shared" / "tfds")
    parser.add_argument("--only", default="", help="a part of the networks' names")
    parser.add_argument("--images", type=int, help="fewer than the card's, to try the program")
    parser.add_argument("--saved_models", type=Path, default=ROOT / "saved_models")
    flags = parser.parse_args()
    shipped = flags.saved_models.resolve() == ROOT / "saved_models"
    if flags.images is not None and shipped:
        parser.error("expected --saved_models to be a copy where --images is given: few images are "
                     "no measurement to ship")  # fmt: skip
    folders = [
        path.parent
        for path in sorted(flags.saved_models.glob("*/1/model_card.json"))
        if flags.only in path.parents[1].name
    ]
    if not folders:
        parser.error(f"expected --only to be a part of a name in {flags.saved_models}")
    print("| network | goal | before | now |\n| --- | --- | --- | --- |")
    for folder in folders:
        card = json.loads((folder / "model_card.json").read_text())
        if (source := source_of(card, flags.data_dir)) is None:
            continue
        before = card["figures"]
        images = flags.images or before["attack ARA"]["images"]
        card["figures"] = before | model_card.plain(measured(folder, card, source, images))
        card["figures"]["measured on"] = datetime.now(UTC).date().isoformat()
        if "plain twin" in before:
            card["figures"]["plain twin"] = {"attacks": before["attacks"], **before["plain twin"]}
        model_card.write(folder, card, version=card["version"])
        for name in AREAS:
            print(
                f"| {card['name']} | {name} | {told(before, name)} | "
                f"{told(card['figures'], name)} |",
                flush=True,
            )
    if shipped:
        leaderboard.main()


if __name__ == "__main__":
    main()
