"""Pictures of explanations: for each image what the network would need to see, or to lose.

A row holds the image, g_explain+ and g_explain− of one class, g_explain+ of its rival, each
beside its difference around grey, and other methods' maps, as in the paper's figures
(arXiv 1906.02896).
"""

import io
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from tfrobust.errors import InputError
from tfrobust.explanations.adversarial import explain
from tfrobust.explanations.base import Explanation, MapMethod, Method
from tfrobust.explanations.blocks import rivals
from tfrobust.explanations.grad_cam import GradCAM
from tfrobust.explanations.smallest_change import SmallestChange
from tfrobust.reports.pixels import PANEL, SPREAD, around_grey, heat, plain_name, scale_of

GAP, CAPTION, LINE = 8, 46, 14  # pixels
DPI = 100
FONT_POINTS = 7.2
LONGEST_NAME = 14  # characters
LONGEST_HEADING = 26
HEADINGS = (
    "image",
    "surer of the class",
    "difference",
    "less sure of the class",
    "difference",
    "surer of its rival",
    "difference",
)
# A picture, and what is written below it.
Panel = tuple[np.ndarray, str]


def grid(
    network: keras.Model,
    images: Any,
    labels: Any,
    class_names: Sequence[str],
    *,
    targets: Any = None,
    rho: float = 0.1,
    methods: Sequence[Method] | None = None,
) -> bytes:
    """A row of explanations for each image.

    Args:
        network: a Keras model, images → logits (B, K).
        images: float (N, H, W, C) in [0, 1], N at least 1, grey (C = 1) or colour (C = 3).
        labels: int (N,), the true classes; None where they are not known.
        class_names: K names.
        targets: int (N,) or a single int, the class explained; None or −1 for the predicted.
        rho: size of the explanations, RMSE in units of pixels from 0 to 1.
        methods: what else is shown, a column each; None: Grad-CAM.

    Returns:
        A PNG file; the same bytes for the same explanations.

    Raises:
        InputError: images that are not grey or colour, names that do not fit the network, or
            what `explain` refuses.
    """
    images = np.asarray(images, np.float32)
    if images.ndim != 4 or images.shape[-1] not in (1, 3) or not len(images):
        raise InputError(
            f"expected at least one image, each grey (H, W, 1) or colour (H, W, 3), "
            f"got {images.shape}"
        )
    if labels is not None:
        labels = np.asarray(labels, np.int32)
        if labels.shape != images.shape[:1]:
            raise InputError(f"expected a label for each image, got {labels.shape}")
        if not 0 <= labels.min() <= labels.max() < len(class_names):
            raise InputError(
                f"expected labels from 0 to {len(class_names) - 1}, "
                f"got {labels.min()} to {labels.max()}"
            )
    surer = explain(network, images, targets, rho=rho)
    logits = np.asarray(network(images))
    if len(class_names) != logits.shape[-1]:
        raise InputError(
            f"expected {logits.shape[-1]} class names, one a class, got {len(class_names)}"
        )
    names = [plain_name(name, LONGEST_NAME) for name in class_names]
    less = explain(network, images, surer.target, rho=rho, direction=-1)
    rival = explain(network, images, rivals(network, images, surer.target), rho=rho)
    others = [GradCAM()] if methods is None else list(methods)
    columns = [_column(method, network, images, surer.target, names) for method in others]
    rows = []
    for row, image in enumerate(images):
        seen = f"seen as {names[logits[row].argmax()]}"
        panels = [(image, seen if labels is None else f"labelled {names[labels[row]]}\n{seen}")]
        for found, word in ((surer, "surer"), (less, "less sure"), (rival, "surer")):
            panels.append((found.explanation[row], _caption(found, row, word, names)))
            short = ": FALLS SHORT" if found.falls_short[row] else ""
            size = f"grey ± {SPREAD * rho:.2g}\nRMSE {found.rmse[row]:.3f}{short}"
            panels.append((around_grey(found.difference[row], rho), size))
        rows.append([*panels, *(column[row] for column in columns)])
    headings = [plain_name(method.name, LONGEST_HEADING) for method in others]
    return _drawn(rows, [*HEADINGS, *headings])


def explanation_picture(
    network: keras.Model,
    image: Any,
    target: int,
    class_names: Sequence[str],
    *,
    rho: float = 0.1,
    methods: Sequence[Method] | None = None,
) -> bytes:
    """One row of explanations, for one image and one class.

    Args:
        network: a Keras model, images → logits (B, K).
        image: float (H, W, C) in [0, 1], grey (C = 1) or colour (C = 3).
        target: the class explained; −1 for the predicted.
        class_names: K names.
        rho: size of the explanations, RMSE in units of pixels from 0 to 1.
        methods: what else is shown, a column each; None: Grad-CAM.

    Returns:
        A PNG file; the same bytes for the same explanations.

    Raises:
        InputError: as for `grid`, and a target that is no class.
    """
    image = np.asarray(image)[None]
    return grid(network, image, None, class_names, targets=target, rho=rho, methods=methods)


def _column(
    method: Method,
    network: keras.Model,
    images: np.ndarray,
    targets: np.ndarray,
    names: Sequence[str],
) -> list[Panel]:
    """A method's panels, one an image."""
    nearest = isinstance(method, SmallestChange)
    try:
        # What would change the decision: whatever class that leads to.
        found = method(network, images, None if nearest else targets)
    except InputError:  # a network without such a layer still has its other explanations
        return [(np.full_like(image, 0.5), "none: not for\nthis network") for image in images]
    panels = []
    for row, image in enumerate(images):
        name = names[found.target[row]]
        if nearest:
            size = "NOT REACHED" if found.falls_short[row] else f"RMSE {found.rmse[row]:.4f}"
            panels.append((found.explanation[row], f"becomes {name}\n{size}"))
        elif not isinstance(method, MapMethod):
            panels.append((found.explanation[row], _caption(found, row, "for", names)))
        else:
            note = "" if found.map[row].any() else "\nno evidence for it"
            panels.append((heat(found.map[row], image), f"for {name}{note}"))
    return panels


def _caption(found: Explanation, row: int, word: str, names: Sequence[str]) -> str:
    before, after = found.confidence_before[row], found.confidence_after[row]
    return f"{word}: {names[found.target[row]]}\n{before:.1%} → {after:.1%}"


def _drawn(rows: Sequence[Sequence[Panel]], headings: Sequence[str]) -> bytes:
    """Rows of panels as a PNG, every pixel a square of whole pixels."""
    height, width = rows[0][0][0].shape[:2]
    scale = scale_of(height, width)
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

    for index, heading in enumerate(headings):
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
