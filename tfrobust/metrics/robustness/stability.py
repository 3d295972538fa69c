"""Stability: does a map stay when its image changes a little at random?"""

from typing import Any

import numpy as np

from tfrobust.core.classifier import Model
from tfrobust.explanations.base import Method
from tfrobust.explanations.explanation import Explanation
from tfrobust.metrics.robustness.neighbours import Noise, neighbours
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
    noise = Noise(rmse=rmse, draws=draws, seed=seed)
    shaken = neighbours(model, method, images, targets, noise, before)
    return np.mean([rank_correlation(one.before.map, one.after.map) for one in shaken], axis=0)
