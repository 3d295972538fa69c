"""Stability: does a map stay when its image changes a little at random?"""

from typing import Any

import numpy as np

from tfrobust.core.classifier import Model
from tfrobust.errors import InputError
from tfrobust.explanations.base import Method
from tfrobust.explanations.explanation import Explanation
from tfrobust.explanations.targets import question
from tfrobust.metrics.similarity import rank_correlation


def stability(
    model: Model,
    method: Method,
    images: Any,
    targets: Any = None,
    *,
    rmse: float = 0.01,
    draws: int = 3,
    seed: int = 0,
    before: Explanation | None = None,
) -> np.ndarray:
    """How alike a method's maps stay when an image is changed at random.

    Args:
        model: what `as_classifier` takes.
        method: what makes the maps.
        images: float (N, H, W, C) in [0, 1].
        targets: int (N,) or a single int; None or −1 for the class predicted for the image
            without noise.
        rmse: size of the normal noise before it is cut to [0, 1].
        draws: how many noises an image; the mean counts.
        seed: of the noise.
        before: the method's explanation without noise, where that is known.

    Returns:
        float64 (N,), Spearman's correlation of the maps without and with noise: near 1 is right.

    Raises:
        InputError: a negative size, no draw, or what the method refuses.
    """
    if not rmse >= 0 or draws < 1:
        raise InputError(f"expected a size not below 0 and at least 1 draw, got {rmse}, {draws}")
    network, images, targets = question(model, images, targets)
    before = before or method(network, images, targets)
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(draws):
        noisy = np.clip(images + rng.normal(0, rmse, images.shape), 0, 1)
        found.append(rank_correlation(before.map, method(network, noisy, before.target).map))
    return np.mean(found, axis=0)
