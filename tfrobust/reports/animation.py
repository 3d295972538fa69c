"""The explanation growing: an animated GIF or PNG of the image, changed more and more."""

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from tfrobust.core.opaque import Model
from tfrobust.errors import InputError
from tfrobust.explanations.adversarial import at_sizes
from tfrobust.reports.pixels import around_grey, eight_bits, plain_name, scale_of

FORMATS = ("gif", "png")
GAP, CAPTION = 8, 22  # pixels
FONT_PIXELS = 13
LONGEST_NAME = 20
MILLISECONDS, LAST = 160, 1500
FRAMES = 12


def animation(
    network: Model,
    image: Any,
    class_names: Sequence[str],
    *,
    target: int = -1,
    rho: float = 0.1,
    frames: int = FRAMES,
    direction: int = 1,
    kind: str = "gif",
) -> bytes:
    """The image beside its change, from nothing to the whole.

    Args:
        network: gives logits (B, K) for images.
        image: float (H, W, C) in [0, 1], grey (C = 1) or colour (C = 3).
        class_names: K names.
        target: the class; −1 for the predicted.
        rho: the last frame's size, RMSE in units of pixels from 0 to 1.
        frames: after the image itself.
        direction: +1 for surer of the class, −1 for less sure.
        kind: "gif", of at most 256 colours a frame, or "png", exact, which browsers play.

    Returns:
        The file's bytes, the same for the same explanations.

    Raises:
        InputError: an image that is not grey or colour, no frame, another kind, names that do
            not fit, or what `explain` refuses.
    """
    image = np.asarray(image, np.float32)
    if image.ndim != 3 or image.shape[-1] not in (1, 3):
        raise InputError(f"expected an image (H, W, 1) or (H, W, 3), got {image.shape}")
    if kind not in FORMATS or frames < 1:
        raise InputError(
            f"expected {' or '.join(FORMATS)} of at least 1 frame, got {kind!r} of {frames}"
        )
    rhos = [rho * number / frames for number in range(1, frames + 1)]
    steps = at_sizes(network, image[None], target, rhos=rhos, direction=direction)
    classes = np.asarray(network(image[None])).shape[-1]
    if len(class_names) != classes:
        raise InputError(f"expected {classes} class names, one a class, got {len(class_names)}")
    name = plain_name(class_names[steps[0].target[0]], LONGEST_NAME)
    before = float(steps[0].confidence_before[0])
    pictures = [_drawn(image, np.zeros_like(image), rho, f"{name} {before:.1%}")]
    for found in steps:
        text = f"{name} {found.confidence_after[0]:.1%}   RMSE {found.rmse[0]:.3f}"
        text += "   FALLS SHORT" if found.falls_short[0] else ""
        pictures.append(_drawn(found.explanation[0], found.difference[0], rho, text))
    durations = [MILLISECONDS * 4, *[MILLISECONDS] * (frames - 1), LAST]
    file = io.BytesIO()
    pictures[0].save(
        file, kind, save_all=True, append_images=pictures[1:], duration=durations, loop=0
    )
    return file.getvalue()


def _drawn(image: np.ndarray, difference: np.ndarray, rho: float, text: str) -> Image.Image:
    """A frame: the image, its change around grey, and a line below."""
    scale = scale_of(*image.shape[:2])
    panels = [
        eight_bits(one).repeat(scale, axis=0).repeat(scale, axis=1)
        for one in (image, around_grey(difference, rho))
    ]
    height, width = panels[0].shape[:2]
    frame = Image.new("RGB", (2 * width + 3 * GAP, height + 2 * GAP + CAPTION), "white")
    for number, panel in enumerate(panels):
        frame.paste(Image.fromarray(panel), (GAP + number * (width + GAP), GAP))
    pen = ImageDraw.Draw(frame)
    pen.text((GAP, height + 2 * GAP), text, fill="black", font=_font())
    return frame


def _font() -> Any:
    """Matplotlib's, which has the letters of most languages."""
    from matplotlib import font_manager

    return ImageFont.truetype(font_manager.findfont("DejaVu Sans"), FONT_PIXELS)
