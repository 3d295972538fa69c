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
        inner, (top, left) = _letterbox((height, width), size)
        framed = np.zeros((*size, channels), np.uint8)
        framed[top : top + inner[0], left : left + inner[1]] = _resized(
            image, inner, Span(0, height, 0.0, float(height)), Span(0, width, 0.0, float(width))
        )
        return framed
    scale = min(height / size[0], width / size[1])
    return _resized(image, size, _span(height, size[0], scale), _span(width, size[1], scale))


def without_margins(values: np.ndarray, size: tuple[int, int], how: Fit) -> np.ndarray:
    """The part of a fitted image that shows the picture: all but a letterbox's margins.

    Args:
        values, size, how: as for `spread_back`.
    """
    if how == "crop":
        return values
    (height, width), (top, left) = _letterbox(size, (values.shape[0], values.shape[1]))
    return values[top : top + height, left : left + width]


def spread_back(values: np.ndarray, size: tuple[int, int], how: Fit = "crop") -> np.ndarray:
    """Spreads values of a fitted image over the picture that it was made of.

    Args:
        values: float (h, w, C), one for each value of what `fit` gave.
        size: the picture's own height and width, in pixels.
        how: as for `fit`.

    Returns:
        float32 (*size, C), interpolated bicubically; 0 where `fit` cut the picture off. Values on
        the margins of a letterbox lie outside the picture and are lost.
    """
    values = without_margins(values, size, how)
    height, width = values.shape[:2]
    spread = np.zeros((*size, values.shape[2]), np.float32)
    if how == "letterbox":
        part, box = spread, (0.0, 0.0, float(width), float(height))
    else:
        (rows, columns), box = seen(size, (height, width))
        part = spread[rows, columns]
    for channel in range(values.shape[2]):
        plane = Image.fromarray(values[..., channel].astype(np.float32))
        size_of_part = part.shape[1], part.shape[0]
        part[..., channel] = np.asarray(plane.resize(size_of_part, Image.Resampling.BICUBIC, box))
    return spread


def _letterbox(
    own: tuple[int, int], size: tuple[int, int]
) -> tuple[tuple[int, int], tuple[int, int]]:
    """The height and width of a picture between margins, and its top and left."""
    scale = max(own[0] / size[0], own[1] / size[1])
    inner = max(round(own[0] / scale), 1), max(round(own[1] / scale), 1)
    return inner, ((size[0] - inner[0]) // 2, (size[1] - inner[1]) // 2)


def seen(
    own: tuple[int, int], fitted: tuple[int, int]
) -> tuple[tuple[slice, slice], tuple[float, float, float, float]]:
    """Which whole pixels of a picture `fit` kept when it cut the middle out.

    Args:
        own: the picture's height and width.
        fitted: those of what `fit` gave.

    Returns:
        Its rows and columns, and where these lie in what `fit` gave: left, top, right, bottom.
    """
    scale = min(own[0] / fitted[0], own[1] / fitted[1])
    rows, top, bottom = _seen(own[0], fitted[0], scale)
    columns, left, right = _seen(own[1], fitted[1], scale)
    return (rows, columns), (left, top, right, bottom)


def _seen(own: int, fitted: int, scale: float) -> tuple[slice, float, float]:
    low = max((own - scale * fitted) / 2, 0.0)
    start, stop = math.ceil(low), math.floor(min(low + scale * fitted, own))
    return slice(start, stop), (start - low) / scale, min((stop - low) / scale, float(fitted))


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
