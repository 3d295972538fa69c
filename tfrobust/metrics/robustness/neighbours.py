"""Images near an image, and a method's explanations of them: what measures of robustness share."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from tfrobust.core.classifier import Classifier, Model
from tfrobust.errors import InputError
from tfrobust.explanations.base import Method
from tfrobust.explanations.explanation import Explanation
from tfrobust.explanations.targets import question


class Neighbour(NamedTuple):
    """N images and one neighbour of each.

    Args:
        network: the classifier.
        images: float32 (N, H, W, C) in [0, 1].
        changed: float32 (N, H, W, C) in [0, 1], the neighbours.
        before: the explanations of the images.
        after: those of the neighbours, of the same targets.
    """

    network: Classifier
    images: np.ndarray
    changed: np.ndarray
    before: Explanation
    after: Explanation


def neighbours(
    model: Model,
    method: Method,
    images: Any,
    targets: Any,
    rmse: float,
    draws: int,
    seed: int,
    before: Explanation | None,
) -> Iterator[Neighbour]:
    """Explains images and their neighbours under normal noise.

    Args:
        model: what `as_classifier` takes.
        method: what explains.
        images: float (N, H, W, C) in [0, 1].
        targets: int (N,) or a single int; None or −1 for the class predicted without noise.
        rmse: size of the normal noise before it is cut to [0, 1].
        draws: how many neighbours an image has.
        seed: of the noise.
        before: the method's explanation without noise, where that is known.

    Yields:
        The images beside one neighbour of each, `draws` times.

    Raises:
        InputError: a negative size, no draw, or what the method refuses.
    """
    if not rmse >= 0 or draws < 1:
        raise InputError(f"expected a size not below 0 and at least 1 draw, got {rmse}, {draws}")
    network, images, targets = question(model, images, targets)
    before = before or method(network, images, targets)
    rng = np.random.default_rng(seed)
    for _ in range(draws):
        changed = np.clip(images + rng.normal(0, rmse, images.shape), 0, 1).astype(np.float32)
        yield Neighbour(network, images, changed, before, method(network, changed, before.target))


def length(values: np.ndarray) -> np.ndarray:
    """The L2 norm of each of N arrays, float64 (N,)."""
    return np.sqrt((values.astype(np.float64) ** 2).sum(axis=tuple(range(1, values.ndim))))
