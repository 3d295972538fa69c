"""Panels in rows and columns with headings, captions and scales, whatever the size of a panel."""

import io
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image

from tfrobust.reports import lettering

# A column is at least so wide, in pixels, that its captions can be read.
SIDE = 320
# Letters are a share of a column, so that they can be read where a large sheet is made small.
LETTERS_A_COLUMN, SMALLEST_LETTERS = 28, 14
CAPTION_LINES = 3


class Scale(NamedTuple):
    """What the colours of a panel mean.

    Args:
        colours: float (1, n, 3) in [0, 1], from the lowest to the highest.
        limit: the number at its right end, in words; at its left end is minus that number.
        unit: of the number, and what more and less of it are.
    """

    colours: np.ndarray
    limit: str
    unit: str


class Panel(NamedTuple):
    """A picture with what is written below it.

    Args:
        pixels: uint8 (H, W, 3).
        captions: paragraphs.
        scale: of its colours; None if they are the picture's own.
    """

    pixels: np.ndarray
    captions: Sequence[str]
    scale: Scale | None = None


class Row(NamedTuple):
    """Panels beside one another.

    Args:
        headings: of the first panel, and of all others together if there are others.
        panels: at least one; None leaves a place empty.
    """

    headings: Sequence[str]
    panels: Sequence[Panel | None]


class _Part(NamedTuple):
    """Pixels uint8 (h, w, 3) and where they go."""

    pixels: np.ndarray
    left: int
    top: int


def composed(rows: Sequence[Row], columns: int) -> bytes:
    """Draws rows of panels of one size; small ones are enlarged by a whole number.

    Args:
        rows: at least one with a panel.
        columns: how many there are.

    Returns:
        A PNG file.
    """
    height, width = next(one.pixels for row in rows for one in row.panels if one).shape[:2]
    scale = max(1, math.ceil(SIDE / max(height, width)))
    height, width = height * scale, width * scale
    column = max(width, SIDE)
    letters = max(SMALLEST_LETTERS, column // LETTERS_A_COLUMN)
    parts: list[_Part] = []
    top = letters
    for row in rows:
        spans = (column, (columns - 1) * (column + letters) - letters)
        headings = [
            lettering.fitted(text, span, letters, bold=True)
            for text, span in zip(row.headings, spans, strict=False)
        ]
        band = lettering.height_of(max(map(len, headings)), letters)
        left = letters
        for lines, span in zip(headings, spans, strict=False):
            drawn = lettering.drawn(lines, span, letters, bold=True)
            parts.append(_Part(drawn, left, top + band - len(drawn)))
            left += column + letters
        top += band + letters // 2
        bottom = top
        for number, panel in enumerate(row.panels):
            if panel is not None:
                left = letters + number * (column + letters)
                enlarged = panel.pixels.repeat(scale, axis=0).repeat(scale, axis=1)
                parts.append(_Part(enlarged, left, top))
                below = _below(panel, width, column, letters, left, top + height + letters // 3)
                parts += below
                bottom = max(bottom, *(part.top + len(part.pixels) for part in below))
        top = bottom + letters
    sheet = np.full((top, letters + columns * (column + letters), 3), 255, np.uint8)
    for pixels, left, top in parts:
        sheet[top : top + pixels.shape[0], left : left + pixels.shape[1]] = pixels
    file = io.BytesIO()
    # Higher levels take ten times as long and save a tenth.
    Image.fromarray(sheet).save(file, "PNG", compress_level=2)
    return file.getvalue()


def _below(panel: Panel, width: int, column: int, letters: int, left: int, top: int) -> list[_Part]:
    """The scale and the captions of a panel."""
    parts = []
    captions = list(panel.captions)
    if panel.scale is not None:
        colours, limit, unit = panel.scale
        bar = np.rint(255 * np.clip(colours, 0, 1)).astype(np.uint8)
        stretched = Image.fromarray(bar).resize((width, letters // 2), Image.Resampling.BILINEAR)
        parts.append(_Part(np.asarray(stretched), left, top))
        top += letters // 2 + letters // 4
        ticks = np.full((lettering.height_of(1, letters), width, 3), 255, np.uint8)
        for text, place in ((f"−{limit}", 0.0), ("0", 0.5), (f"+{limit}", 1.0)):
            (line,) = lettering.fitted(text, width, letters, most=1)
            tick = lettering.drawn([line], lettering.width_of(line, letters), letters)
            start = round(place * (width - tick.shape[1]))
            ticks[:, start : start + tick.shape[1]] = tick
        parts.append(_Part(ticks, left, top))
        top += len(ticks)
        captions.insert(0, unit)
    for caption in captions:
        lines = lettering.fitted(caption, column, letters, most=CAPTION_LINES)
        drawn = lettering.drawn(lines, column, letters)
        parts.append(_Part(drawn, left, top))
        top += len(drawn)
    return parts
