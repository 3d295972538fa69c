"""Deletion and insertion: does the confidence live where a map says that it does?

Pixels are covered in the order of their importance, the most important first, and the target's
confidence is followed: it falls fast if the map is right (deletion). Uncovering them from nothing,
it rises fast (insertion). Source: RISE, arXiv 1806.07421.
"""

from typing import Any

import numpy as np

from tfrobust.core.classifier import Model
from tfrobust.metrics.scores import Judged, check_counts, check_fill, covered, judged
from tfrobust.metrics.similarity import ranks_from_the_top


def deletion(
    model: Model,
    images: Any,
    targets: Any,
    maps: np.ndarray,
    *,
    steps: int = 20,
    fill: float = 0.5,
    batch_size: int = 32,
) -> np.ndarray:
    """The area under the target's confidence while the most important pixels are covered.

    Args:
        model: what `as_classifier` takes.
        images: float (N, H, W, C) in [0, 1].
        targets: int (N,) or a single int; None or −1 for the predicted class.
        maps: float (N, H, W), how much each pixel matters; of equal ones, the first goes first.
        steps: in how many equal parts the pixels go.
        fill: the value that covers, from 0 to 1.
        batch_size: images that the network sees at a time.

    Returns:
        float64 (N,) from 0 to 1, by the trapezoidal rule over the share of pixels covered: the
        smaller, the better the map.

    Raises:
        InputError: images outside [0, 1], maps that do not fit them, no step, a fill outside
            [0, 1], or a target that is no class.
    """
    asked = judged(model, images, targets, maps, "confidence", batch_size)
    return _area(asked, steps, fill, uncover=False)


def insertion(
    model: Model,
    images: Any,
    targets: Any,
    maps: np.ndarray,
    *,
    steps: int = 20,
    fill: float = 0.5,
    batch_size: int = 32,
) -> np.ndarray:
    """The area under the target's confidence while the most important pixels are uncovered.

    Args:
        model: as for `deletion`, and so are the others.
        images: float (N, H, W, C) in [0, 1].
        targets: int (N,) or a single int; None or −1 for the predicted class of the whole image.
        maps: float (N, H, W).
        steps: in how many equal parts the pixels come.
        fill: the value of what is covered, from 0 to 1.
        batch_size: images that the network sees at a time.

    Returns:
        float64 (N,) from 0 to 1: the larger, the better the map.

    Raises:
        InputError: as for `deletion`.
    """
    asked = judged(model, images, targets, maps, "confidence", batch_size)
    return _area(asked, steps, fill, uncover=True)


def _area(asked: Judged, steps: int, fill: float, *, uncover: bool) -> np.ndarray:
    check_counts(steps=steps)
    check_fill(fill)
    images, maps = asked.images, asked.maps
    if not len(images):
        return np.zeros(0)
    place = ranks_from_the_top(maps)
    curve = np.zeros((steps + 1, len(images)))
    for row, share in enumerate(np.arange(steps + 1) / steps):
        gone = (place < round(share * maps[0].size)) != uncover
        curve[row] = asked.scores(covered(images, gone, fill))
    return ((curve[1:] + curve[:-1]) / 2).mean(axis=0)
