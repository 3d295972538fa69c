"""Sensitivity: how much does a map change, for its own size or for the change of the image?"""

from typing import Any

import numpy as np

from tfrobust.core.classifier import Model
from tfrobust.explanations.base import Method
from tfrobust.metrics.robustness.neighbours import NOISE, Noise, length, neighbours


def max_sensitivity(
    model: Model, method: Method, images: Any, targets: Any = None, *, noise: Noise = NOISE
) -> np.ndarray:
    """The largest relative change of a map among an image's neighbours.

    Args:
        model: what `as_classifier` takes.
        method: what makes the maps.
        images: float (N, H, W, C) in [0, 1].
        targets: int (N,) or a single int; None or −1 for the class predicted without noise.
        noise: what makes an image's neighbours.

    Returns:
        float64 (N,), the largest ‖a(x′) − a(x)‖ / ‖a(x)‖: the smaller, the more robust. A map of
        zeros that stays so has 0, one that changes infinity.

    Raises:
        InputError: what the method refuses.

    Source: Yeh et al., arXiv 1901.09392, definition 3.1, divided by the map's size; normal noise.
    """
    shaken = neighbours(model, method, images, targets, noise)
    return np.max([_relative(one.before.map, one.after.map) for one in shaken], axis=0)


def average_sensitivity(
    model: Model, method: Method, images: Any, targets: Any = None, *, noise: Noise = NOISE
) -> np.ndarray:
    """The mean relative change of a map among an image's neighbours.

    Args:
        model, method, images, targets, noise: as for `max_sensitivity`.

    Returns:
        float64 (N,): the smaller, the more robust.

    Raises:
        InputError: as for `max_sensitivity`.

    Source: Bhatt et al., arXiv 2005.00631, definition 2, divided by the map's size; normal noise.
    """
    shaken = neighbours(model, method, images, targets, noise)
    return np.mean([_relative(one.before.map, one.after.map) for one in shaken], axis=0)


def local_lipschitz(
    model: Model, method: Method, images: Any, targets: Any = None, *, noise: Noise = NOISE
) -> np.ndarray:
    """The largest change of a map for each unit of the image's change, among its neighbours.

    Args:
        model, method, images, targets, noise: as for `max_sensitivity`.

    Returns:
        float64 (N,), the largest ‖a(x′) − a(x)‖ / ‖x′ − x‖ in L2: the smaller, the more robust. It
        has the unit of the map, so that only maps of one method can be compared by it.

    Raises:
        InputError: as for `max_sensitivity`.

    Source: Alvarez-Melis and Jaakkola, arXiv 1806.08049, equation 2.
    """
    shaken = neighbours(model, method, images, targets, noise)
    return np.max(
        [
            _divided(length(one.after.map - one.before.map), length(one.changed - one.images))
            for one in shaken
        ],
        axis=0,
    )


def _relative(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    return _divided(length(after - before), length(before))


def _divided(change: np.ndarray, by: np.ndarray) -> np.ndarray:
    """change / by; 0 where nothing changed, infinity where only what divides is 0."""
    return np.where(change > 0, np.where(by > 0, change / np.where(by > 0, by, 1), np.inf), 0.0)
