"""Non-sensitivity: pixels that change nothing should have no value, and only they."""

from typing import Any

import numpy as np

from tfrobust.core.classifier import Model
from tfrobust.errors import InputError
from tfrobust.metrics.scores import Score, check_counts, judged


def non_sensitivity(
    model: Model,
    images: Any,
    targets: Any,
    maps: np.ndarray,
    *,
    patch: int = 1,
    draws: int = 5,
    threshold: float = 1e-5,
    score: Score = "confidence",
    seed: int = 0,
    batch_size: int = 32,
) -> np.ndarray:
    """The share of patches for which the map and the network disagree about whether they matter.

    Each patch is drawn anew from the uniform distribution on [0, 1]. It matters to the network if
    the root mean square of the score's change is above the threshold, and to the map if its mean
    size is above the same part of the map's largest value.

    Args:
        model, images, targets: as for `deletion`.
        maps: float (N, H, W).
        patch: side of a patch in pixels. Every patch costs `draws` answers an image.
        draws: how often each patch is drawn anew.
        threshold: what counts as nothing, at least 0.
        score: what is followed: "confidence" or "logit".
        seed: of the draws.
        batch_size: images that the network sees at a time.

    Returns:
        float64 (N,) from 0 to 1: the smaller, the better the map.

    Raises:
        InputError: what `deletion` refuses, or an option out of range.

    Source: Nguyen and Martínez, arXiv 2007.07584, section 3.2, as a share of the patches.
    """
    asked = judged(model, images, targets, maps, score, batch_size)
    check_counts(patch=patch, draws=draws)
    if not threshold >= 0:
        raise InputError(f"expected a threshold of at least 0, got {threshold}")
    rng = np.random.default_rng(seed)
    images, sizes = asked.images, np.abs(asked.maps)
    nothing = threshold * sizes.max(axis=(1, 2), initial=0)
    whole = asked.scores(images)
    differ, patches = np.zeros(len(images)), 0
    for row in range(0, images.shape[1], patch):
        for column in range(0, images.shape[2], patch):
            there = np.s_[:, row : row + patch, column : column + patch]
            squares = np.zeros(len(images))
            for _ in range(draws):
                changed = images.copy()
                changed[there] = rng.random(changed[there].shape, np.float32)
                squares += (asked.scores(changed) - whole) ** 2
            matters = np.sqrt(squares / draws) > threshold
            differ += matters != (sizes[there].mean(axis=(1, 2)) > nothing)
            patches += 1
    return differ / max(1, patches)
