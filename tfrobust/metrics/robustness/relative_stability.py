"""Relative stability: a map may change as much as its image, or as the network's answer, does."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from tfrobust.core.classifier import Classifier, Model, logits_of
from tfrobust.explanations.base import Method
from tfrobust.metrics.robustness.neighbours import NOISE, Neighbour, Noise, length, neighbours

# Below it, a number does not divide another.
SMALLEST = 1e-6


def relative_input_stability(
    model: Model, method: Method, images: Any, targets: Any = None, *, noise: Noise = NOISE
) -> np.ndarray:
    """How many times more a map changes than its image, each in parts of what it was.

    Args:
        model: what `as_classifier` takes.
        method: what makes the maps.
        images: float (N, H, W, C) in [0, 1].
        targets: int (N,) or a single int; None or −1 for the class predicted without noise.
        noise: what makes an image's neighbours.

    Returns:
        float64 (N,), the largest ‖(a(x′) − a(x)) / a(x)‖ / ‖(x′ − x) / x‖, value by value, in L2,
        of neighbours of the same class: the smaller, the more stable. NaN where there is none.

    Raises:
        InputError: what the method refuses.

    Source: Agarwal et al., arXiv 2203.06877, equation 2.
    """
    shaken = neighbours(model, method, images, targets, noise)
    return _largest(shaken, lambda one, logits, changed: _share(one.changed, one.images))


def relative_output_stability(
    model: Model, method: Method, images: Any, targets: Any = None, *, noise: Noise = NOISE
) -> np.ndarray:
    """How much a map changes, in parts of what it was, for each unit of the logits' change.

    Args:
        model, method, images, targets, noise: as for `relative_input_stability`.

    Returns:
        float64 (N,), the largest ‖(a(x′) − a(x)) / a(x)‖ / ‖h(x′) − h(x)‖ in L2, h the logits, of
        neighbours of the same class: the smaller, the more stable. NaN where there is none.

    Raises:
        InputError: as for `relative_input_stability`.

    Source: Agarwal et al., arXiv 2203.06877, equation 5.
    """
    shaken = neighbours(model, method, images, targets, noise)
    return _largest(shaken, lambda one, logits, changed: changed - logits)


def _largest(
    shaken: Iterator[Neighbour],
    change: Callable[[Neighbour, np.ndarray, np.ndarray], np.ndarray],
) -> np.ndarray:
    """The largest change of a map for another change, among the neighbours of the same class.

    Args:
        shaken: the images beside a neighbour of each, again and again.
        change: of a neighbour, the logits (N, K) of the images and its own → (N, …), the change
            that the map's is divided by.

    Returns:
        float64 (N,); NaN where no neighbour is of the same class.
    """
    found = []
    logits: np.ndarray | None = None
    for one in shaken:
        if logits is None:  # the images are the same for all neighbours
            logits = _logits(one.network, one.images)
        changed = _logits(one.network, one.changed)
        by = np.maximum(length(change(one, logits, changed)), SMALLEST)
        same = logits.argmax(axis=-1) == changed.argmax(axis=-1)
        ratio = length(_share(one.after.map, one.before.map)) / by
        found.append(np.where(same, ratio, np.nan))
    return np.fmax.reduce(found)  # which takes NaN for less than any number


def _logits(network: Classifier, images: np.ndarray) -> np.ndarray:
    if not len(images):
        return np.zeros((0, 1))
    return logits_of(network, images, 1 if len(images) == 1 else 32)


def _share(after: np.ndarray, before: np.ndarray) -> np.ndarray:
    """The change of each value in parts of what it was; of values near 0, in parts of SMALLEST."""
    size = np.maximum(np.abs(before), SMALLEST)
    return (after.astype(np.float64) - before) / size
