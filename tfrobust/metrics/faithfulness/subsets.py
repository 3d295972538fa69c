"""Subsets of pixels: does a map's sum over some pixels tell how the score falls without them?

Pixels are covered, a random subset at a time, and the fall of the score is compared with the sum of
the map over the subset. For a linear network and its exact attributions the two are equal.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from tfrobust.core.classifier import Model
from tfrobust.errors import InputError
from tfrobust.metrics.scores import Judged, Score, check_fill, covered, judged
from tfrobust.metrics.similarity import correlation

SHARES = (0.05, 0.1, 0.2, 0.4)


def faithfulness_correlation(
    model: Model,
    images: Any,
    targets: Any,
    maps: np.ndarray,
    *,
    share: float = 0.1,
    draws: int = 100,
    fill: float = 0.5,
    score: Score = "confidence",
    seed: int = 0,
    batch_size: int = 32,
) -> np.ndarray:
    """Correlation of the map's sums over random subsets with the falls of the score.

    Args:
        model, images, targets: as for `deletion`.
        maps: float (N, H, W), with their signs where the method has signs.
        share: each subset's share of all pixels, above 0 and below 1; at least one pixel.
        draws: how many subsets, the same for all images; at least 2.
        fill: the value that covers, from 0 to 1.
        score: what is followed: "confidence" or "logit".
        seed: of the subsets.
        batch_size: images that the network sees at a time.

    Returns:
        float64 (N,), Pearson's correlation over the subsets, from −1 to 1; 0 where the sums or the
        scores do not vary. The larger, the better the map.

    Raises:
        InputError: what `deletion` refuses, or an option out of range.

    Source: Bhatt et al., arXiv 2005.00631, definition 3.
    """
    asked = judged(model, images, targets, maps, score, batch_size)
    return _correlations(asked, (share,), draws, fill, seed)[0]


def sensitivity_n(
    model: Model,
    images: Any,
    targets: Any,
    maps: np.ndarray,
    *,
    shares: Sequence[float] = SHARES,
    draws: int = 100,
    fill: float = 0.5,
    score: Score = "confidence",
    seed: int = 0,
    batch_size: int = 32,
) -> np.ndarray:
    """`faithfulness_correlation` for subsets of several sizes.

    Args:
        model, images, targets, maps, draws, fill, score, seed, batch_size: as for
            `faithfulness_correlation`.
        shares: float (S,), the subsets' shares of all pixels.

    Returns:
        float64 (S, N), from −1 to 1.

    Raises:
        InputError: as for `faithfulness_correlation`.

    Source: Ancona et al., arXiv 1711.06104, section 4.
    """
    asked = judged(model, images, targets, maps, score, batch_size)
    return _correlations(asked, shares, draws, fill, seed)


def _correlations(
    asked: Judged, shares: Sequence[float], draws: int, fill: float, seed: int
) -> np.ndarray:
    check_fill(fill)
    if draws < 2 or not len(shares) or not all(0 < share < 1 for share in shares):
        raise InputError(
            "expected at least 2 draws and shares above 0 and below 1, got "
            f"{draws}, {tuple(shares)}"
        )
    rng = np.random.default_rng(seed)
    _, height, width = asked.maps.shape
    whole = asked.scores(asked.images)
    found = []
    for share in shares:
        size = max(1, round(share * height * width))
        sums, falls = [], []
        for _ in range(draws):
            chosen = np.zeros(height * width, bool)
            chosen[rng.choice(chosen.size, size, replace=False)] = True
            chosen = chosen.reshape(height, width)
            sums.append(asked.maps[:, chosen].sum(axis=-1))
            falls.append(whole - asked.scores(covered(asked.images, chosen[None], fill)))
        found.append(correlation(np.stack(sums, axis=-1), np.stack(falls, axis=-1)))
    return np.stack(found)
