"""Pictures of explanations: what the network would need to see of a class, or to lose.

Every row shows one image, and what one or several methods make of it. A change is shown twice: as
the changed image and as the difference around grey, as in the figures of arXiv 1906.02896.
"""

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from tfrobust.core.images import check_drawable
from tfrobust.errors import InputError
from tfrobust.reports import fonts
from tfrobust.reports.pixels import (
    PANEL,
    SPREAD,
    around_grey,
    class_name,
    heat,
    plain_name,
    scale_of,
)

if TYPE_CHECKING:  # a picture of a record that exists needs no TensorFlow
    from tfrobust.explanations import Explanation, Overview

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


def explanation_png(explanation: "Explanation", class_names: Sequence[str] = ()) -> bytes:
    """A row for each image: the image, and what the method makes of it.

    Args:
        explanation: of at least one image, grey (C = 1) or colour (C = 3).
        class_names: K names; without them classes have numbers.

    Returns:
        A PNG file. The same explanations give the same bytes.

    Raises:
        InputError: there is no image, the images are neither grey nor colour, or a target has no
            name.
    """
    check_drawable(explanation.image)
    rows = [
        [
            (image, ""),
            _panel(explanation, row, class_names),
            *([_difference(explanation, row)] if explanation.changes_images else []),
        ]
        for row, image in enumerate(explanation.image)
    ]
    heading = plain_name(explanation.method or "explanation", LONGEST_HEADING)
    return _drawn(rows, ["image", heading, "difference"][: len(rows[0])])


def overview_png(
    overview: "Overview", class_names: Sequence[str] = (), *, labels: Any = None
) -> bytes:
    """A row for each image: its adversarial explanations, and the other methods'.

    Args:
        overview: of at least one image, grey (C = 1) or colour (C = 3).
        class_names: K names; without them classes have numbers.
        labels: int (N,), the true classes; None if they are not known.

    Returns:
        A PNG file. The same explanations give the same bytes.

    Raises:
        InputError: there is no image, the images are neither grey nor colour, or names or labels
            do not fit.
    """
    images, num_classes = overview.images, overview.logits.shape[-1]
    check_drawable(images)
    if len(class_names) not in (0, num_classes):
        raise InputError(f"expected {num_classes} class names, one a class, got {len(class_names)}")
    if labels is not None:
        labels = np.asarray(labels, np.int32)
        if labels.shape != images.shape[:1]:
            raise InputError(f"expected a label for each image, got {labels.shape}")
        if not 0 <= labels.min() <= labels.max() < num_classes:
            raise InputError(
                f"expected labels from 0 to {num_classes - 1}, got {labels.min()} to {labels.max()}"
            )
    changes = (
        ("surer", overview.surer),
        ("less sure", overview.less_sure),
        ("surer", overview.rival),
    )
    rows = []
    for row, image in enumerate(images):
        caption = f"seen as {_name(overview.logits[row].argmax(), class_names)}"
        if labels is not None:
            caption = f"labelled {_name(labels[row], class_names)}\n{caption}"
        panels = [(image, caption)]
        for word, found in changes:
            panels.append((found.explanation[row], _caption(found, row, word, class_names)))
            panels.append(_difference(found, row))
        for other in overview.others.values():
            nothing = np.full_like(image, 0.5), "none: not for\nthis network"
            panels.append(nothing if other is None else _panel(other, row, class_names))
        rows.append(panels)
    headings = [plain_name(name, LONGEST_HEADING) for name in overview.others]
    return _drawn(rows, [*HEADINGS, *headings])


def _panel(found: "Explanation", row: int, class_names: Sequence[str]) -> Panel:
    """What a method makes of one image: the image that it changed, or its map over the image."""
    name = _name(found.target[row], class_names)
    if not found.changes_images:
        note = "" if found.map[row].any() else "\nno evidence for it"
        return heat(found.map[row], found.image[row]), f"for {name}{note}"
    if np.any(found.rho):
        return found.explanation[row], _caption(found, row, "for", class_names)
    # No size was asked for: the size is the answer.
    size = "NOT REACHED" if found.falls_short[row] else f"RMSE {found.rmse[row]:.4f}"
    return found.explanation[row], f"becomes {name}\n{size}"


def _difference(found: "Explanation", row: int) -> Panel:
    """The change of one image around grey."""
    asked = np.broadcast_to(found.rho, found.rmse.shape)[row]
    size = float(asked or found.rmse[row])
    short = ": FALLS SHORT" if found.falls_short[row] else ""
    caption = f"grey ± {SPREAD * size:.2g}\nRMSE {found.rmse[row]:.3f}{short}"
    return around_grey(found.difference[row], size), caption


def _caption(found: "Explanation", row: int, word: str, class_names: Sequence[str]) -> str:
    before, after = found.confidence_before[row], found.confidence_after[row]
    return f"{word}: {_name(found.target[row], class_names)}\n{before:.1%} → {after:.1%}"


def _name(number: int, class_names: Sequence[str]) -> str:
    return fonts.legible(class_name(class_names, number, LONGEST_NAME), number)


def _drawn(rows: Sequence[Sequence[Panel]], headings: Sequence[str]) -> bytes:
    """Rows of panels as a PNG, every pixel a square of whole pixels."""
    height, width = rows[0][0][0].shape[:2]
    scale = scale_of(height, width)
    height, width = height * scale, width * scale
    column, row_height = max(width, PANEL) + GAP, height + CAPTION
    total = (len(rows[0]) * column + GAP, len(rows) * row_height + GAP + LINE + GAP)
    figure = Figure(figsize=(total[0] / DPI, total[1] / DPI), dpi=DPI, facecolor="white")
    canvas = FigureCanvasAgg(figure)
    captions = [caption for panels in rows for _, caption in panels]
    families = fonts.families([*headings, *captions])

    def write(text: str, left: int, top: int, weight: str) -> None:
        figure.text(
            left / total[0],
            1 - top / total[1],
            text,
            va="top",
            fontsize=FONT_POINTS,
            fontweight=weight,
            fontfamily=families,
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
