"""Draws the pictures of docs/guides/gallery.md, by the networks of benchmarks/ground_truth.py.

    python benchmarks/gallery.py              # both; or --names lesion

- docs/images/gallery_lesion.png: one picture with a lesion, explained on both networks;
- docs/images/gallery_label.png: one with a scanner's label, on networks that read it.
"""

import argparse
import io
import os
from collections.abc import Sequence
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
import planted_networks
import tensorflow as tf
from ground_truth_parts import asked, taken
from PIL import Image
from scipy.ndimage import binary_dilation

from tfrobust import as_classifier, datasets, explanations, metrics
from tfrobust.core.classifier import Classifier
from tfrobust.reports.panels import Panel, Row, composed
from tfrobust.reports.pixels import eight_bits, heat

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "runs" / "ground_truth" / "fashion"
IMAGES = ROOT / "docs" / "images"
NAMES = ("lesion", "label")
NUMBER = 3  # of the test picture that is shown
OUTLINE = (1.0, 0.85, 0.0)
METHODS: Sequence[explanations.Method] = (
    explanations.Adversarial(rho=0.1),
    explanations.Adversarial(rho=0.1, direction=-1),
    explanations.GradCAM(),
    explanations.VanillaGradients(),
    explanations.IntegratedGradients(steps=16),
    explanations.Occlusion(),
)


def outlined(pixels: np.ndarray, region: np.ndarray, scale: int = 8) -> np.ndarray:
    """A picture (H, W, C) enlarged, with a line around a region (H, W): uint8 (H', W', 3)."""
    large = np.broadcast_to(pixels, (*pixels.shape[:2], 3)).repeat(scale, 0).repeat(scale, 1)
    inside = region.repeat(scale, 0).repeat(scale, 1)
    line = binary_dilation(inside, iterations=2) & ~inside
    return eight_bits(np.where(line[..., None], OUTLINE, large))


def told(
    method: explanations.Method, network: Classifier, planted: datasets.Planted, region: np.ndarray
) -> Panel:
    """A method's map over the picture, and whether its largest value lies in the region."""
    found = method(network, planted.images, asked(method, planted.labels))
    hit = metrics.pointing_game(found.map, region)[0]
    words = "points at it" if hit else "points elsewhere"
    return Panel(
        outlined(heat(found.map[0], planted.images[0]), region[0]), [f"{method.name}: {words}"]
    )


def write(name: str, rows: list[Row]) -> None:
    """A sheet as a small PNG: halved, of 128 colours."""
    sheet = Image.open(io.BytesIO(composed(rows, max(len(row.panels) for row in rows))))
    half = sheet.resize((sheet.width // 2, sheet.height // 2), Image.Resampling.LANCZOS)
    path: Path = IMAGES / f"{name}.png"
    half.convert("P", palette=Image.Palette.ADAPTIVE, colors=128).save(path, optimize=True)
    print(f"written: {path}, {path.stat().st_size // 1024} kB")


def explained(marked: bool, given: planted_networks.Pictures) -> list[Row]:
    """A picture by all methods on both networks: its lesion, or the label that they read."""
    planted = taken(planted_networks.tested(given, 1.0 if marked else None), np.array([NUMBER]))
    region = planted.marks if marked else planted.lesions
    kind_of = planted.class_names[planted.labels[0]]
    words = "The label, which they learned," if marked else f"The lesion, a {kind_of},"
    rows = []
    for kind in planted_networks.KINDS:
        network = as_classifier(planted_networks.trained(kind, given, FOLDER, marked=marked))
        panels = [told(method, network, planted, region) for method in METHODS]
        first = Panel(outlined(planted.images[0], region[0]), [f"{words} is outlined"])
        rows.append(Row([f"{kind.title()} network"], [first, *panels]))
    return rows


def main() -> None:
    """Draws what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--names", nargs="+", choices=NAMES, default=NAMES, help="what to draw")
    given = planted_networks.pictures("fashion")
    # Every program runs once: to compile it would take longer.
    tf.config.run_functions_eagerly(True)
    for name in parser.parse_args().names:
        write(f"gallery_{name}", explained(name == "label", given))


if __name__ == "__main__":
    main()
