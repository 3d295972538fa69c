"""Writes saved_models/README.md, which compares the shipped networks, from their cards.

python benchmarks/leaderboard.py
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tfrobust.core.files import write_atomically

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "cifar10.json"
RATIOS = {
    "ours / published": "ours to theirs",
    "ours / published, mirrored": "ours to theirs mirrored",
}
ABOUT = """# saved_models/

The folders are `<name>/<integer version>/`, as TF Serving wants them. `tools/train.py` and
`tools/export.py` write the next version. Git ignores versions that are not shipped. Each version
folder holds a SavedModel, network.keras, classifier.onnx, explainer.onnx and a model card
(MODEL_CARD.md for people, model_card.json for programs). `tfrobust.load("{first}")` loads a
shipped network with Keras, offline.

`python benchmarks/leaderboard.py` makes the tables from the cards. Brackets are 95 % intervals over
images. An ARA is the area under the accuracy against the size of the perturbation (RMSE of pixels
in [0, 1]), above the accuracy of a guess. It is an upper bound by the attacks named. Larger is
better.
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
    """The lines of the file."""
    found = cards(folder)
    yield ABOUT.format(first=next(iter(found), "fashion_mnist_mini").split("/")[0])
    measured, boxed = [], []
    for name, card in found.items():
        figures = card["figures"]
        link = f"[{name}]({name}/MODEL_CARD.md)"
        measured.append([
            link, figures["images"], f"{figures['clean accuracy']:.3f}",
            area(figures["attack ARA"]), area(figures["BTR ARA"]), " + ".join(figures["attacks"]),
        ])  # fmt: skip
        robust = figures["robust accuracy in [0, 1] at L2"]
        certified = figures["certified ARA of the smoothed network"]
        boxed.append([
            link, *(area(robust[size], 3) for size in robust),
            f"{area(certified)}, {certified['images']} images, {certified['draws']} draws",
            f"{figures['training seconds'] / 60:.0f} min, {figures['machine']}",
            f"{sum(card['file_bytes'].values()) / 1e6:.1f} MB",
        ])  # fmt: skip
    yield "## Perturbed images may leave [0, 1], as in the paper\n"
    yield from table(
        "| network | images | clean accuracy | attack ARA | BTR ARA | attacks |", measured
    )
    if results.exists():
        told = json.loads(results.read_text())
        yield f"\n## Beside the published network\n\n{told['data'].capitalize()}; attacks "
        yield f"{' + '.join(told['attacks'])}; `{told['command']}`.\n"
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
        "Robust accuracy on the same images, at L2 sizes of pixels in [0, 1]. The certified ARA is "
        "a lower bound for\nthe smoothed network, not for the network itself. It was measured on "
        "the first images, with Gaussian noise of\n0.25 and α 0.001 (arXiv 1902.02918).\n"
    )
    yield from table(
        "| network | L2 0.25 | L2 0.5 | L2 1.0 | certified ARA | trained in | size |", boxed
    )


def main() -> None:
    """Writes the file."""
    path = ROOT / "saved_models" / "README.md"
    write_atomically(path, ("\n".join(lines(path.parent, RESULTS)) + "\n").encode())
    print(f"written: {path}")


if __name__ == "__main__":
    main()
