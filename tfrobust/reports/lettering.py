"""Text as pixels: broken into lines that fit a width, in any script that the machine has fonts for.

Matplotlib draws it, which takes each letter from the first font that has it.
"""

import functools

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg, RendererAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties

from tfrobust.reports import fonts

DPI = 72  # a point is a pixel
LINE = 1.35  # from line to line, in heights of letters


def fitted(text: str, width: int, size: int, *, bold: bool = False, most: int = 2) -> list[str]:
    """Breaks a text into lines.

    Args:
        text: one paragraph.
        width: of the lines, in pixels.
        size: of the letters, in pixels.
        bold: whether it is drawn bold.
        most: how many lines there may be; the last ends in "…" if the text is longer.

    Returns:
        The lines. They break at spaces, and inside a word that is wider than a line.
    """
    lines = [""]
    for word in text.split():
        joined = f"{lines[-1]} {word}".strip()
        if _width(joined, size, bold) <= width:
            lines[-1] = joined
            continue
        if lines[-1]:
            lines.append("")
        for letter in word:
            if lines[-1] and _width(lines[-1] + letter, size, bold) > width:
                lines.append("")
            lines[-1] += letter
    if len(lines) > most:
        last = lines[most - 1]
        while last and _width(f"{last}…", size, bold) > width:
            last = last[:-1]
        lines = [*lines[: most - 1], f"{last}…"]
    return lines


def height_of(lines: int, size: int) -> int:
    """How many pixels so many lines take."""
    return round(lines * LINE * size)


def drawn(lines: list[str], width: int, size: int, *, bold: bool = False) -> np.ndarray:
    """Draws lines in black on white.

    Args:
        lines: that fit the width.
        width: of the picture, in pixels.
        size: of the letters, in pixels.
        bold: whether to draw them bold.

    Returns:
        uint8 (`height_of(len(lines), size)`, width, 3).
    """
    height = height_of(len(lines), size)
    figure = Figure(figsize=(width / DPI, height / DPI), dpi=DPI, facecolor="white")
    canvas = FigureCanvasAgg(figure)
    for number, line in enumerate(lines):
        figure.text(
            0,
            1 - (number * LINE + 1) * size / height,
            line,
            va="baseline",
            fontproperties=_font(line, size, bold),
            # Class names are anyone's text: neither "$" nor TeX in them may mean a thing.
            parse_math=False,
            usetex=False,
        )
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3]


def _font(text: str, size: int, bold: bool) -> FontProperties:
    weight = "bold" if bold else "normal"
    return FontProperties(fonts.families([text]), size=size, weight=weight)


def width_of(line: str, size: int) -> int:
    """How many pixels a line takes at most."""
    return int(_width(line, size, False)) + 2


@functools.lru_cache(maxsize=4096)
def _width(text: str, size: int, bold: bool) -> float:
    """Of a line, in pixels."""
    renderer = RendererAgg(1, 1, DPI)
    width, _, _ = renderer.get_text_width_height_descent(text, _font(text, size, bold), False)
    return float(width)
