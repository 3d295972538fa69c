"""Completeness: the attributions sum up to the score's difference from that of a baseline."""

from typing import Any

import numpy as np

from tfrobust.core.classifier import Model
from tfrobust.metrics.scores import Score, check_fill, judged


def completeness(
    model: Model,
    images: Any,
    targets: Any,
    attributions: np.ndarray,
    *,
    fill: float = 0.0,
    score: Score = "logit",
    batch_size: int = 32,
) -> np.ndarray:
    """How far an attribution's sum is from the difference that it should sum up to.

    Args:
        model, images, targets: as for `deletion`.
        attributions: float (N, H, W, C), (N, H, W, 1) or (N, H, W), with their signs.
        fill: the value of every pixel of the baseline, from 0 to 1.
        score: what the method explains: "logit" or "confidence".
        batch_size: images that the network sees at a time.

    Returns:
        float64 (N,), |Σ a − (f(x) − f(baseline))|, in the unit of the score. 0 is complete.

    Raises:
        InputError: images outside [0, 1], attributions that do not fit them, or an option out of
            range.

    Source: Sundararajan et al., arXiv 1703.01365, section 3.
    """
    asked = judged(model, images, targets, attributions, score, batch_size, channels=True)
    check_fill(fill)
    rise = asked.scores(asked.images) - asked.scores(np.full_like(asked.images, fill))
    return np.abs(asked.maps.sum(axis=tuple(range(1, asked.maps.ndim))) - rise)
