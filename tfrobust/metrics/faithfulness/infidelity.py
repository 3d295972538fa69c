"""Infidelity: does an attribution, times a change of the image, tell the change of the score?"""

from typing import Any

import numpy as np

from tfrobust.core.classifier import Model
from tfrobust.errors import InputError
from tfrobust.metrics.scores import Score, check_counts, check_fill, judged


def infidelity(
    model: Model,
    images: Any,
    targets: Any,
    attributions: np.ndarray,
    *,
    share: float = 0.2,
    draws: int = 50,
    fill: float = 0.5,
    noise: float = 0.1,
    scaled: bool = False,
    score: Score = "confidence",
    seed: int = 0,
    batch_size: int = 32,
) -> np.ndarray:
    """The mean square of what the attribution foretells less what the score does.

    A random part of the pixels goes to a noisy baseline: the change is I = x − (fill + noise), and
    the attribution Φ foretells the fall of the score to be I·Φ.

    Args:
        model, images, targets: as for `deletion`.
        attributions: float (N, H, W, C), per unit of each value as a gradient is; or (N, H, W) or
            (N, H, W, 1), the same for all channels.
        share: each pixel's probability to change, above 0 and at most 1.
        draws: how many changes.
        fill: the baseline, from 0 to 1.
        noise: standard deviation of the noise around it, at least 0.
        scaled: whether each attribution is first multiplied with the number that suits it best.
            Methods whose values have no unit are compared so.
        score: what is followed: "confidence" or "logit".
        seed: of the changes.
        batch_size: images that the network sees at a time.

    Returns:
        float64 (N,), 0 or more: the smaller, the better the attribution. With `scaled`, an
        attribution of zeros has the mean square of the falls.

    Raises:
        InputError: images outside [0, 1], attributions that do not fit them, or an option out of
            range.

    Source: Yeh et al., arXiv 1901.09392, definition 2.1 and section 4 (noisy baseline); the scale
    is that of their appendix.
    """
    asked = judged(model, images, targets, attributions, score, batch_size, channels=True)
    check_counts(draws=draws)
    check_fill(fill)
    if not 0 < share <= 1 or not noise >= 0:
        raise InputError(
            "expected a share above 0 and at most 1 and a noise of at least 0, got "
            f"{share}, {noise}"
        )
    images = asked.images
    values = asked.maps[..., None] if asked.maps.ndim == 3 else asked.maps
    rng = np.random.default_rng(seed)
    whole = asked.scores(images)
    told, falls = [], []
    for _ in range(draws):
        goes = rng.random(images.shape[1:3]) < share
        baseline = fill + rng.normal(0, noise, images.shape) if noise else fill
        change = np.where(goes[None, ..., None], images - baseline, 0)
        told.append((change * values).sum(axis=(1, 2, 3)))
        falls.append(whole - asked.scores(images - change))
    foretold, fall = np.stack(told), np.stack(falls)
    if scaled:
        squares = (foretold**2).sum(axis=0)
        foretold = foretold * ((foretold * fall).sum(axis=0) / np.where(squares > 0, squares, 1))
    return ((foretold - fall) ** 2).mean(axis=0)
