"""The shipped networks side by side, from their cards, in saved_models/README.md and in docs.

python benchmarks/leaderboard.py
"""

import functools
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from answer_cost import answer_cost

import tfrobust
from tfrobust.core.files import write_atomically
from tfrobust.models import resnet_cifar

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "cifar10.json"
RATIOS = {
    "ours / published": "ours to theirs",
    "ours / published, mirrored": "ours to theirs mirrored",
}
FOLDER = """# saved_models/

A folder for each model, with a folder for each version in it, as TensorFlow Serving wants them:
`<name>/<version>/`. `tfrobust-train` and `tfrobust-export` write the next version; git ignores
what is not shipped. A version holds a SavedModel, `network.keras`, two ONNX files and a model
card, which is `MODEL_CARD.md` for people and `model_card.json` for programs.
`tfrobust.load("{first}")` gives a shipped network as a Keras model, without a network connection.
"""
PAGE = """# Leaderboard

The networks that come with the package, from their model cards. `tfrobust.load("{first}")` gives
one of them as a Keras model, without a network connection; its card is
`saved_models/{first}/1/MODEL_CARD.md` in the clone.
"""
ABOUT = """
`python benchmarks/leaderboard.py` makes these tables of the cards. Brackets are 95 % intervals
over images. The ARA is the area under accuracy against the size of the perturbation (RMSE, pixels
from 0 to 1), above the accuracy of a guess; larger is better. It is an upper bound, found by the
attacks named. Gradients are those taken for each image, at most: what is found for BTR counts for
misclassification too, so that the attack ARA rests on those of both goals.
"""


def cards(folder: Path) -> dict[str, dict[str, Any]]:
    """The cards of the shipped networks, by name/version."""
    found = {}
    for path in sorted(folder.glob("*/1/model_card.json")):
        card = json.loads(path.read_text())
        if (
            "robust accuracy in [0, 1] at L2" in card["figures"]
        ):  # only networks that were made to be shipped have it
            found[f"{path.parents[1].name}/1"] = card
    return found


def area(found: Mapping[str, Any], digits: int = 4) -> str:
    """A figure and its interval."""
    low, high = (
        "∞" if found[name] is None else f"{found[name]:.{digits}f}" for name in ("low", "high")
    )
    return f"{found['value']:.{digits}f} [{low}, {high}]"


def table(header: str, rows: list[list[str]]) -> list[str]:
    """A table in Markdown."""
    return [header, "|" + " --- |" * header.count("|", 1), *(f"| {' | '.join(r)} |" for r in rows)]


def lines(folder: Path, results: Path) -> Iterator[str]:
    """All of saved_models/README.md."""
    found = cards(folder)
    yield FOLDER.format(first=next(iter(found), "fashion_mnist_mini").split("/")[0]) + ABOUT
    yield from tables(folder, found, results)


def page(folder: Path, results: Path) -> Iterator[str]:
    """All of docs/figures/leaderboard.md. The site has no page of a card to link to."""
    found = cards(folder)
    yield PAGE.format(first=next(iter(found), "fashion_mnist_mini").split("/")[0]) + ABOUT
    for line in tables(folder, found, results):
        yield re.sub(r"\[(\S+)\]\(\S+/MODEL_CARD.md\)", r"`\1`", line)


def tables(folder: Path, found: Mapping[str, dict[str, Any]], results: Path) -> Iterator[str]:
    """What both have in common."""
    measured, boxed, between = [], [], []
    for name, card in found.items():
        figures = card["figures"]
        link = f"[{name}]({name}/MODEL_CARD.md)"
        measured.append([
            link, figures["images"], f"{figures['clean accuracy']:.3f}",
            area(figures["attack ARA"]), area(figures["BTR ARA"]), " + ".join(figures["attacks"]),
            " / ".join(map(str, figures["gradients for each image, at most"].values())),
        ])  # fmt: skip
        if own := figures.get("certified ARA of the network itself"):
            attacked = figures["attack ARA"]
            between.append([
                link, area(own), area(attacked), f"{own['value'] / attacked['value']:.2f}",
            ])  # fmt: skip
        robust = figures["robust accuracy in [0, 1] at L2"]
        certified = figures["certified ARA of the smoothed network"]
        boxed.append([
            link, *(area(robust[size], 3) for size in robust),
            f"{area(certified)}, {certified['images']} images, {certified['draws']} draws",
        ])  # fmt: skip
    yield "## Perturbed images may leave [0, 1], as in the paper\n"
    yield from table(
        "| network | images | clean accuracy | attack ARA | BTR ARA | attacks | gradients: attack "
        "ARA / BTR ARA |",
        measured,
    )
    if between:
        yield (
            "\n## From both sides\n\nNo attack at all can bring these networks below their "
            "certified ARA, and the\nattacks above brought them to their attack ARA. Both are of "
            "the same images.\n"
        )
        yield from table("| network | certified ARA | attack ARA | certified ÷ attacked |", between)
    if results.exists():
        told = json.loads(results.read_text())
        yield (
            f"\n## Beside the published network\n\nMeasured on {told['data']}. Attacks: "
            f"{' + '.join(told['attacks'])}.\nOurs was trained on the JPEG copy of CIFAR-10, which "
            "these images are of too, and the published network\non the original images. Of each "
            "of the two, the areas of 128 originals and\nof their copies agree within 1 %: "
            "`benchmarks/jpeg_copy.py`."
            f"\n\n`{told['command']}`\n"
        )
        rows = [
            [
                name,
                f"{told[name]['clean_accuracy']:.3f}",
                area(told[name]["attack_ara"]),
                area(told[name]["btr_ara"]),
            ]
            for name in told
            if isinstance(told[name], dict) and "clean_accuracy" in told[name]
        ]
        for name, theirs in RATIOS.items():
            if theirs not in told:
                continue
            areas = (area(told[theirs][goal], 2) for goal in ("attack_ara", "btr_ara"))
            rows.append([f"{name}, paired", "", *areas])
        as_sure = told["ours as sure to theirs"]["btr_ara"]
        rows.append(["the same where both are equally sure", "", "", area(as_sure, 2)])
        yield from table("| network | clean accuracy | attack ARA | BTR ARA |", rows)
    yield "\n## Perturbed images stay in [0, 1]\n"
    yield (
        "Robust accuracy at L2 sizes, pixels from 0 to 1, on the same images. The certified ARA\n"
        "bounds the smoothed network from below, and says nothing about the network itself. It\n"
        "is of the first images, with Gaussian noise of standard deviation 0.25 and α 0.001\n"
        "(arXiv 1902.02918).\n"
    )
    yield from table("| network | L2 0.25 | L2 0.5 | L2 1.0 | certified ARA |", boxed)
    yield (
        "\n## Who trained them, and what they cost\n\nThe operations are those of floating "
        "point for an answer to one image, as TensorFlow\ncounts them; a mirrored network looks "
        "at two.\n"
    )
    yield from table(
        "| network | trained by | on | in | parameters | operations | files |",
        [*(costs(folder, name, card) for name, card in found.items()), published_costs()],
    )


def costs(folder: Path, name: str, card: Mapping[str, Any]) -> list[str]:
    """A shipped network's row: who trained it, on what, in what time, and what it costs."""
    figures = card["figures"]
    return [
        f"[{name}]({name}/MODEL_CARD.md)", "tfrobust", card["provenance"].split(":")[0],
        f"{figures['training seconds'] / 60:.0f} min, {figures['machine']}",
        *counted(folder / name),
        f"{sum(card['file_bytes'].values()) / 1e6:.1f} MB",
    ]  # fmt: skip


def published_costs() -> list[str]:
    """The row of the published network, counted on an untrained one of its shape."""
    name, authors = "published ResNet-44", "Woods, Chen and Teuscher"
    return [name, authors, "CIFAR-10", "200 epochs", *counted(None), ""]


@functools.cache
def counted(shipped: Path | None) -> tuple[str, str]:
    """How many parameters and operations, in thousands and millions; once for both pages.

    Args:
        shipped: a network's folder; None for one of the published network's shape.
    """
    network = tfrobust.load(shipped) if shipped else resnet_cifar(depth=44, num_classes=10)
    cost = answer_cost(network)
    return f"{cost.parameters / 1e3:.0f} thousand", f"{cost.operations / 1e6:.0f} million"


def main() -> None:
    """Writes both files."""
    folder = ROOT / "saved_models"
    for path, content in (
        (folder / "README.md", lines(folder, RESULTS)),
        (ROOT / "docs" / "figures" / "leaderboard.md", page(folder, RESULTS)),
    ):
        write_atomically(path, ("\n".join(content) + "\n").encode())
        print(f"written: {path}")


if __name__ == "__main__":
    main()
