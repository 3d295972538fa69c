"""Parts of an image in the order of a map: does each part matter as much as the map says?

The pixels are sorted by importance and cut into parts of one size. Each part alone is changed, all
else stays, and the change of the score is compared with what the map says of the part.
"""

import itertools
from typing import Any

import numpy as np
from scipy.stats import rankdata

from tfrobust.core.classifier import Model
from tfrobust.metrics.scores import Judged, Score, check_counts, check_fill, covered, judged
from tfrobust.metrics.similarity import correlation, ranks_from_the_top


def faithfulness_estimate(
    model: Model,
    images: Any,
    targets: Any,
    maps: np.ndarray,
    *,
    parts: int = 20,
    fill: float = 0.5,
    score: Score = "confidence",
    batch_size: int = 32,
) -> np.ndarray:
    """Correlation of the map's sum over each part with the fall of the score without it.

    Args:
        model, images, targets: as for `deletion`.
        maps: float (N, H, W), with their signs where the method has signs.
        parts: in how many parts the pixels are cut; at least 1.
        fill: the value that covers, from 0 to 1.
        score: what is followed: "confidence" or "logit".
        batch_size: images that the network sees at a time.

    Returns:
        float64 (N,), Pearson's correlation over the parts, from −1 to 1; 0 where the sums or the
        scores do not vary. The larger, the better the map.

    Raises:
        InputError: what `deletion` refuses, or an option out of range.

    Source: Alvarez-Melis and Jaakkola, arXiv 1806.07538, section 4.
    """
    asked = judged(model, images, targets, maps, score, batch_size)
    check_fill(fill)
    sums, falls, whole = [], [], asked.scores(asked.images)
    for part in _parts(asked, asked.maps, parts):
        sums.append(np.where(part, asked.maps, 0).sum(axis=(1, 2)))
        falls.append(whole - asked.scores(covered(asked.images, part, fill)))
    return correlation(np.stack(sums, axis=-1), np.stack(falls, axis=-1))


def monotonicity_correlation(
    model: Model,
    images: Any,
    targets: Any,
    maps: np.ndarray,
    *,
    parts: int = 20,
    draws: int = 10,
    score: Score = "confidence",
    seed: int = 0,
    batch_size: int = 32,
) -> np.ndarray:
    """Rank correlation of what the map says of each part with how uncertain it makes the score.

    A part's pixels are drawn anew from the uniform distribution on [0, 1]. How uncertain that
    makes the score is the mean square of its change.

    Args:
        model, images, targets: as for `deletion`.
        maps: float (N, H, W); their size counts, not their sign.
        parts: in how many parts the pixels are cut; at least 1.
        draws: how often each part is drawn anew.
        score: what is followed: "confidence" or "logit".
        seed: of the draws.
        batch_size: images that the network sees at a time.

    Returns:
        float64 (N,), Spearman's correlation over the parts, from −1 to 1; 0 where nothing varies.
        The larger, the better the map.

    Raises:
        InputError: what `deletion` refuses, or an option out of range.

    Source: Nguyen and Martínez, arXiv 2007.07584, section 3.2.
    """
    asked = judged(model, images, targets, maps, score, batch_size)
    check_counts(draws=draws)
    rng = np.random.default_rng(seed)
    size, whole = np.abs(asked.maps), asked.scores(asked.images)
    sums, changes = [], []
    for part in _parts(asked, size, parts):
        sums.append(np.where(part, size, 0).sum(axis=(1, 2)))
        squares = []
        for _ in range(draws):
            drawn = rng.random(asked.images.shape, np.float32)
            changed = np.where(part[..., None], drawn, asked.images)
            squares.append((asked.scores(changed) - whole) ** 2)
        changes.append(np.mean(squares, axis=0))
    if not len(asked.images):
        return np.zeros(0)
    one, other = (rankdata(np.stack(values, axis=-1), axis=-1) for values in (sums, changes))
    return correlation(one, other)


def _parts(asked: Judged, importance: np.ndarray, parts: int) -> list[np.ndarray]:
    """bool (N, H, W) for each part, the most important first."""
    check_counts(parts=parts)
    place = ranks_from_the_top(importance) if len(importance) else np.zeros(importance.shape)
    pixels = importance.shape[1] * importance.shape[2]
    edges = np.linspace(0, pixels, min(parts, pixels) + 1).round()
    return [(place >= first) & (place < last) for first, last in itertools.pairwise(edges)]
