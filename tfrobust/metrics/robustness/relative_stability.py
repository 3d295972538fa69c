"""Relative stability: a map may change as much as its image, or as the network's answer, does."""

from typing import Any

import numpy as np

from tfrobust.core.classifier import Model, logits_of
from tfrobust.explanations.base import Method
from tfrobust.metrics.robustness.neighbours import NOISE, Noise, length, neighbours

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
    found = []
    for one in neighbours(model, method, images, targets, noise):
        logits, changed = (_logits(one.network, values) for values in (one.images, one.changed))
        ratio = length(_share(one.after.map, one.before.map)) / np.maximum(
            length(_share(one.changed, one.images)), SMALLEST
        )
        found.append(np.where(_same(logits, changed), ratio, np.nan))
    return _largest(found)


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
    found = []
    for one in neighbours(model, method, images, targets, noise):
        logits, changed = (_logits(one.network, values) for values in (one.images, one.changed))
        ratio = length(_share(one.after.map, one.before.map)) / np.maximum(
            length(changed - logits), SMALLEST
        )
        found.append(np.where(_same(logits, changed), ratio, np.nan))
    return _largest(found)


def _logits(network: Any, images: np.ndarray) -> np.ndarray:
    if not len(images):
        return np.zeros((0, 1))
    return logits_of(network, images, 1 if len(images) == 1 else 32)


def _same(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    return one.argmax(axis=-1) == other.argmax(axis=-1)


def _share(after: np.ndarray, before: np.ndarray) -> np.ndarray:
    """The change of each value in parts of what it was; of values near 0, in parts of SMALLEST."""
    size = np.maximum(np.abs(before), SMALLEST)
    return (after.astype(np.float64) - before) / size


def _largest(found: list[np.ndarray]) -> np.ndarray:
    values = np.stack(found)
    none = np.isnan(values).all(axis=0)
    return np.where(none, np.nan, np.where(np.isnan(values), -np.inf, values).max(axis=0))
