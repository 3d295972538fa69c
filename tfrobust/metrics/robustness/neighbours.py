"""Images near an image, and a method's explanations of them: what measures of robustness share."""

import dataclasses
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from tfrobust.core.classifier import Classifier, Model
from tfrobust.errors import InputError
from tfrobust.explanations.base import Method
from tfrobust.explanations.explanation import Explanation
from tfrobust.explanations.targets import question


@dataclasses.dataclass(frozen=True, kw_only=True)
class Noise:
    """Normal noise that makes an image's neighbours.

    Args:
        rmse: its size before it is cut to [0, 1], at least 0.
        draws: how many neighbours an image has, at least 1.
        seed: of the draws.

    Raises:
        InputError: a negative size, or no draw.
    """

    rmse: float = 0.01
    draws: int = 10
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.rmse >= 0 or self.draws < 1:
            raise InputError(
                f"expected a size not below 0 and at least 1 draw, got {self.rmse}, {self.draws}"
            )


NOISE = Noise()


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
    noise: Noise,
    before: Explanation | None = None,
) -> Iterator[Neighbour]:
    """Explains images and their neighbours under normal noise.

    Args:
        model: what `as_classifier` takes.
        method: what explains.
        images: float (N, H, W, C) in [0, 1].
        targets: int (N,) or a single int; None or −1 for the class predicted without noise.
        noise: what changes the images.
        before: the method's explanation without noise, where that is known.

    Yields:
        The images beside one neighbour of each, `noise.draws` times.

    Raises:
        InputError: what the method refuses.
    """
    network, images, targets = question(model, images, targets)
    before = before or method(network, images, targets)
    rng = np.random.default_rng(noise.seed)
    for _ in range(noise.draws):
        changed = np.clip(images + rng.normal(0, noise.rmse, images.shape), 0, 1).astype(np.float32)
        yield Neighbour(network, images, changed, before, method(network, changed, before.target))


def length(values: np.ndarray) -> np.ndarray:
    """The L2 norm of each of N arrays, float64 (N,)."""
    return np.sqrt((values.astype(np.float64) ** 2).sum(axis=tuple(range(1, values.ndim))))
