"""Brings a picture to a network's size: its middle of the wanted aspect, or all of it with margins.

`graph_resizing.fit` does the same inside a TensorFlow graph and gives the same pixels.
"""

import math
from typing import NamedTuple

import numpy as np
from PIL import Image

from tfrobust.datasets.names import Fit


class Span(NamedTuple):
    """Which part of one side of a picture is resized.

    Args:
        start: the first pixel that the resampling may touch.
        stop: the first pixel after `start` that it does not touch.
        low: where the part begins, in pixels from `start`.
        high: where the part ends, in pixels from `start`.
    """

    start: int
    stop: int
    low: float
    high: float


def fit(image: np.ndarray, size: tuple[int, int], how: Fit = "crop") -> np.ndarray:
    """Brings an image to a size and keeps its aspect.

    Args:
        image: uint8 (H, W, C) with 1 or 3 channels.
        size: the wanted height and width, in pixels.
        how: "crop" cuts off evenly what does not fit; "letterbox" keeps all of the image, between
            black margins of equal width.

    Returns:
        uint8 (*size, C), resized bilinearly, and smoothed where it shrinks.
    """
    height, width, channels = image.shape
    if (height, width) == size:
        return image
    if how == "letterbox":
        scale = max(height / size[0], width / size[1])
        inner = max(round(height / scale), 1), max(round(width / scale), 1)
        top, left = (size[0] - inner[0]) // 2, (size[1] - inner[1]) // 2
        framed = np.zeros((*size, channels), np.uint8)
        framed[top : top + inner[0], left : left + inner[1]] = _resized(
            image, inner, Span(0, height, 0.0, float(height)), Span(0, width, 0.0, float(width))
        )
        return framed
    scale = min(height / size[0], width / size[1])
    return _resized(image, size, _span(height, size[0], scale), _span(width, size[1], scale))


def _resized(image: np.ndarray, size: tuple[int, int], rows: Span, columns: Span) -> np.ndarray:
    channels = image.shape[-1]
    part = image[rows.start : rows.stop, columns.start : columns.stop]
    picture = Image.fromarray(part[..., 0] if channels == 1 else part)
    # One side at a time, because versions of Pillow begin with different sides.
    box = (columns.low, 0.0, columns.high, float(picture.height))
    picture = picture.resize((size[1], picture.height), Image.Resampling.BILINEAR, box)
    box = (0.0, rows.low, float(size[1]), rows.high)
    picture = picture.resize((size[1], size[0]), Image.Resampling.BILINEAR, box)
    return np.array(picture).reshape(*size, channels)


def _span(own: int, wanted: int, scale: float) -> Span:
    """The middle of a side.

    Args:
        own: the picture's size along this side, in pixels.
        wanted: the size to reach, in pixels.
        scale: how many of the picture's pixels become one.
    """
    low = max((own - scale * wanted) / 2, 0.0)
    high = min(low + scale * wanted, float(own))
    # The smoothing reaches as far beyond the part as one wanted pixel is long.
    margin = math.ceil(max(scale, 1.0)) + 1
    start = max(math.floor(low) - margin, 0)
    stop = min(math.ceil(high) + margin, own)
    return Span(start, stop, low - start, high - start)
