"""Writes the shipped networks anew as this version of the package exports them.

    make reexport            # or: python benchmarks/reexport.py --data_dir ../shared/tfds

The weights stay, and the cards keep their recipes and figures. What changes are the graphs: what
`predict_bytes` makes of a picture, for instance. All forms are compared anew, on the test images of
the card's data set where they can be had, else on noise.
"""

import argparse
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import tfrobust

ROOT = Path(__file__).resolve().parents[1]
REFERENCES = 64  # images that the forms are compared on


def references(card: dict[str, Any], data_dir: Path) -> Any:
    """Test images of the card's data set; None where they are not on this machine."""
    recipe = card["recipe"]
    # Cards of version 0.1 are flat.
    name = recipe["data"]["name"] if "data" in recipe else recipe["dataset"]
    folder = None if name == "fashion_mnist_mini" else str(data_dir)
    if folder is not None and not data_dir.is_dir():
        print(f"{card['name']}: compared on noise, as there is no {data_dir}", file=sys.stderr)
        return None
    return tfrobust.datasets.load(name, data_dir=folder).test_arrays(REFERENCES)[0]


def main() -> None:
    """Exports each network beside its version, then puts the new one in the old one's place."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data_dir", type=Path, default=ROOT.parent / "shared" / "tfds")
    flags = parser.parse_args()
    for folder in sorted((ROOT / "saved_models").glob("*/1")):
        card = json.loads((folder / "model_card.json").read_text())
        with tempfile.TemporaryDirectory(dir=folder.parents[1]) as scratch:
            version = tfrobust.export(
                tfrobust.load(folder),
                Path(scratch) / card["name"],
                class_names=card["classes"],
                provenance=card["provenance"],
                recipe=card["recipe"],
                figures=card["figures"],
                picture=folder / "explanations.png",
                reference_images=references(card, flags.data_dir),
            )
            left_out = json.loads((version / "model_card.json").read_text()).get("left_out")
            if left_out:
                sys.exit(f"expected all forms of {card['name']}, but left out: {left_out}")
            # The weights are the same, and a file of another date would only fill the repository.
            shutil.copy2(folder / "network.keras", version / "network.keras")
            shutil.rmtree(folder)
            version.rename(folder)
        print(f"written: {folder}")


if __name__ == "__main__":
    main()
