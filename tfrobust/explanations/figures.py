"""Pictures of explanations: for each image what the network would need to see, or to lose.

A row holds the image, g_explain+ and g_explain− of one class, g_explain+ of its rival, each
beside its difference around grey, and Grad-CAM, as in the paper's figures (arXiv 1906.02896).
"""

import io
from collections.abc import Sequence
from typing import Any

import keras
import matplotlib
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from tfrobust.errors import InputError
from tfrobust.explanations.adversarial import Explanation, explain
from tfrobust.explanations.grad_cam import grad_cam

PANEL = 150  # pixels: smaller images are enlarged by the whole number that comes nearest
GAP, CAPTION, LINE = 8, 46, 14  # pixels
DPI = 100
FONT_POINTS = 7.2
LONGEST_NAME = 14  # characters
SPREAD = 3.0  # a difference of this many rho is black or white
HEADINGS = (
    "image",
    "surer of the class",
    "difference",
    "less sure of the class",
    "difference",
    "surer of its rival",
    "difference",
    "Grad-CAM",
)


def grid(
    network: keras.Model,
    images: Any,
    labels: Any,
    class_names: Sequence[str],
    *,
    rho: float = 0.1,
) -> bytes:
    """A row of explanations for each image, of the class that the network predicts.

    Args:
        network: a Keras model, images → logits (B, K).
        images: float (N, H, W, C) in [0, 1], N at least 1, grey (C = 1) or colour (C = 3).
        labels: int (N,), the true classes.
        class_names: K names.
        rho: size of the explanations, RMSE in units of pixels from 0 to 1.

    Returns:
        A PNG file; the same bytes for the same explanations.

    Raises:
        InputError: images that are not grey or colour, names that do not fit the network, or
            what `explain` refuses.
    """
    labels = np.asarray(labels, np.int32)
    if labels.shape != np.shape(images)[:1]:
        raise InputError(f"expected a label for each image, got {labels.shape}")
    if labels.size and not 0 <= labels.min() <= labels.max() < len(class_names):
        raise InputError(
            f"expected labels from 0 to {len(class_names) - 1}, "
            f"got {labels.min()} to {labels.max()}"
        )
    return _picture(network, images, -1, labels, class_names, rho)


def explanation_picture(
    network: keras.Model,
    image: Any,
    target: int,
    class_names: Sequence[str],
    *,
    rho: float = 0.1,
) -> bytes:
    """One row of explanations, for one image and one class.

    Args:
        network: a Keras model, images → logits (B, K).
        image: float (H, W, C) in [0, 1], grey (C = 1) or colour (C = 3).
        target: the class explained; −1 for the predicted.
        class_names: K names.
        rho: size of the explanations, RMSE in units of pixels from 0 to 1.

    Returns:
        A PNG file; the same bytes for the same explanations.

    Raises:
        InputError: as for `grid`, and a target that is no class.
    """
    return _picture(network, np.asarray(image)[None], target, None, class_names, rho)


def _picture(
    network: keras.Model,
    images: Any,
    target: int,
    labels: np.ndarray | None,
    class_names: Sequence[str],
    rho: float,
) -> bytes:
    images = np.asarray(images, np.float32)
    if images.ndim != 4 or images.shape[-1] not in (1, 3) or not len(images):
        raise InputError(
            f"expected at least one image, each grey (H, W, 1) or colour (H, W, 3), "
            f"got {images.shape}"
        )
    surer = explain(network, images, target, rho=rho)
    logits = np.asarray(network(images))
    if len(class_names) != logits.shape[-1]:
        raise InputError(
            f"expected {logits.shape[-1]} class names, one a class, got {len(class_names)}"
        )
    others = logits.copy()
    np.put_along_axis(others, surer.target[:, None], -np.inf, axis=-1)
    less = explain(network, images, surer.target, rho=rho, direction=-1)
    rival = explain(network, images, others.argmax(axis=-1), rho=rho)
    names = [_plain(name) for name in class_names]
    try:
        heat: Sequence[np.ndarray | None] = list(grad_cam(network, images, surer.target))
    except InputError:  # a network without such a layer still has its other explanations
        heat = [None] * len(images)
    rows = []
    for row, image in enumerate(images):
        seen = f"seen as {names[logits[row].argmax()]}"
        panels = [(image, seen if labels is None else f"labelled {names[labels[row]]}\n{seen}")]
        for found, word in ((surer, "surer"), (less, "less sure"), (rival, "surer")):
            panels.append((found.explanation[row], _caption(found, row, word, names)))
            around_grey = 0.5 + found.difference[row] / (2 * SPREAD * rho)
            short = ": FALLS SHORT" if found.falls_short[row] else ""
            size = f"grey ± {SPREAD * rho:.2g}\nRMSE {found.rmse[row]:.3f}{short}"
            panels.append((around_grey, size))
        panels.append(_overlay(image, heat[row], names[surer.target[row]]))
        rows.append(panels)
    return _drawn(rows)


def _caption(found: Explanation, row: int, word: str, names: Sequence[str]) -> str:
    before, after = found.confidence_before[row], found.confidence_after[row]
    return f"{word}: {names[found.target[row]]}\n{before:.1%} → {after:.1%}"


def _overlay(image: np.ndarray, heat: np.ndarray | None, name: str) -> tuple[np.ndarray, str]:
    """Grad-CAM in colour over the image's grey."""
    if heat is None:
        return np.full_like(image, 0.5), "none: no layer of\nthis network suits"
    colours = matplotlib.colormaps["inferno"](heat)[..., :3]
    note = "" if heat.any() else "\nno evidence for it"
    return 0.6 * colours + 0.4 * image.mean(axis=-1, keepdims=True), f"for {name}{note}"


def _plain(name: str) -> str:
    """A class name of any origin as one short line of printable text."""
    line = "".join(letter if letter.isprintable() else " " for letter in str(name)).strip()
    return line if len(line) <= LONGEST_NAME else line[: LONGEST_NAME - 1] + "…"


def _drawn(rows: Sequence[Sequence[tuple[np.ndarray, str]]]) -> bytes:
    """Rows of (pixels, caption) as a PNG, every pixel a square of whole pixels."""
    height, width = rows[0][0][0].shape[:2]
    scale = max(1, round(PANEL / max(height, width)))
    height, width = height * scale, width * scale
    column, row_height = max(width, PANEL) + GAP, height + CAPTION
    total = (len(rows[0]) * column + GAP, len(rows) * row_height + GAP + LINE + GAP)
    figure = Figure(figsize=(total[0] / DPI, total[1] / DPI), dpi=DPI, facecolor="white")
    canvas = FigureCanvasAgg(figure)

    def write(text: str, left: int, top: int, weight: str) -> None:
        figure.text(
            left / total[0],
            1 - top / total[1],
            text,
            va="top",
            fontsize=FONT_POINTS,
            fontweight=weight,
            fontfamily="DejaVu Sans",
            # Class names are anyone's text: neither "$" nor TeX in them may mean a thing.
            parse_math=False,
            usetex=False,
        )

    for index, heading in enumerate(HEADINGS):
        write(heading, GAP + index * column, GAP, "bold")
    for number, panels in enumerate(rows):
        top = GAP + LINE + GAP + number * row_height
        for index, (pixels, caption) in enumerate(panels):
            left = GAP + index * column
            enlarged = np.clip(pixels, 0, 1).repeat(scale, axis=0).repeat(scale, axis=1)
            colours = np.broadcast_to(enlarged, (height, width, 3))
            figure.figimage(colours, left, total[1] - top - height, origin="upper")
            write(caption, left, top + height + 4, "normal")
    file = io.BytesIO()
    # Neither a date nor a version, so that the same picture is the same bytes.
    canvas.print_png(file, metadata={"Software": None})
    return file.getvalue()
