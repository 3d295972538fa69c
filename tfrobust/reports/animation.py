"""The explanation growing: an animated GIF or PNG of the image, changed more and more."""

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from tfrobust.errors import InputError
from tfrobust.reports import fonts
from tfrobust.reports.pixels import around_grey, class_name, eight_bits, scale_of

if TYPE_CHECKING:  # a picture of records that exist needs no TensorFlow
    from tfrobust.explanations import Explanation

FORMATS = ("gif", "png")
GAP, CAPTION = 8, 22  # pixels
FONT_PIXELS = 13
LONGEST_NAME = 20
MILLISECONDS, LAST = 160, 1500


def animate(
    steps: "Sequence[Explanation]", class_names: Sequence[str] = (), *, kind: str = "gif"
) -> bytes:
    """Shows one image beside its change, from no change to the largest.

    Args:
        steps: explanations of one image and one class at growing sizes, as
            `tfrobust.explanations.at_sizes` gives them. The image is grey (C = 1) or colour
            (C = 3).
        class_names: K names; without them classes have numbers.
        kind: "gif" has at most 256 colours a frame. "png" is exact, and browsers play it.

    Returns:
        The file's bytes. The same explanations give the same bytes.

    Raises:
        InputError: there is no step, a step has more than one image or another kind of image, the
            kind of file is unknown, or the class has no name.
    """
    if kind not in FORMATS:
        raise InputError(f"expected a kind of {' or '.join(FORMATS)}, got {kind!r}")
    shapes = {found.explanation.shape for found in steps}
    if len(shapes) != 1 or (shape := next(iter(shapes)))[0] != 1 or shape[-1] not in (1, 3):
        raise InputError(
            "expected at least one step, each of one and the same image (1, H, W, 1) or "
            f"(1, H, W, 3), got {sorted(shapes)}"
        )
    first, largest = steps[0], float(np.max(steps[-1].rho))
    number = first.target[0]
    name = fonts.legible(class_name(class_names, number, LONGEST_NAME), number)
    image = first.image[0]
    before = float(first.confidence_before[0])
    pictures = [_drawn(image, np.zeros_like(image), largest, f"{name} {before:.1%}")]
    for found in steps:
        text = f"{name} {found.confidence_after[0]:.1%}   RMSE {found.rmse[0]:.3f}"
        text += "   FALLS SHORT" if found.falls_short[0] else ""
        pictures.append(_drawn(found.explanation[0], found.difference[0], largest, text))
    durations = [MILLISECONDS * 4, *[MILLISECONDS] * (len(steps) - 1), LAST]
    file = io.BytesIO()
    pictures[0].save(
        file, kind, save_all=True, append_images=pictures[1:], duration=durations, loop=0
    )
    return file.getvalue()


def _drawn(image: np.ndarray, difference: np.ndarray, rho: float, text: str) -> Image.Image:
    """A frame: the image, its change around grey, and a line of text below."""
    scale = scale_of(*image.shape[:2])
    panels = [
        eight_bits(one).repeat(scale, axis=0).repeat(scale, axis=1)
        for one in (image, around_grey(difference, rho))
    ]
    height, width = panels[0].shape[:2]
    frame = Image.new("RGB", (2 * width + 3 * GAP, height + 2 * GAP + CAPTION), "white")
    for number, panel in enumerate(panels):
        frame.paste(Image.fromarray(panel), (GAP + number * (width + GAP), GAP))
    font = ImageFont.truetype(fonts.path_for(text), FONT_PIXELS)
    pen = ImageDraw.Draw(frame)
    pen.text((GAP, height + 2 * GAP), text, fill="black", font=font)
    return frame
