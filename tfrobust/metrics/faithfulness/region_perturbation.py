"""Region perturbation: how fast does the score fall when whole patches go, the best first?"""

from typing import Any

import numpy as np

from tfrobust.core.classifier import Model
from tfrobust.metrics.scores import Score, check_counts, check_fill, covered, judged
from tfrobust.metrics.similarity import ranks_from_the_top


def region_perturbation(
    model: Model,
    images: Any,
    targets: Any,
    maps: np.ndarray,
    *,
    patch: int = 4,
    regions: int | None = None,
    fill: float = 0.5,
    score: Score = "confidence",
    batch_size: int = 32,
) -> np.ndarray:
    """The area over the perturbation curve: the mean fall of the score while patches go.

    The image is cut into patches, which go one after the other, that with the largest sum first.

    Args:
        model, images, targets: as for `deletion`.
        maps: float (N, H, W).
        patch: side of a patch in pixels; those at the right and at the bottom may be smaller.
        regions: how many patches go; None for all.
        fill: the value that covers, from 0 to 1.
        score: what is followed: "confidence" or "logit".
        batch_size: images that the network sees at a time.

    Returns:
        float64 (N,), the mean of the falls, that of the whole image (0) among them: the larger, the
        better the map.

    Raises:
        InputError: what `deletion` refuses, or an option out of range.

    Source: Samek et al., arXiv 1509.06321, equation 12.
    """
    asked = judged(model, images, targets, maps, score, batch_size)
    check_counts(patch=patch, regions=1 if regions is None else regions)
    check_fill(fill)
    if not len(asked.images):
        return np.zeros(0)
    _, height, width = asked.maps.shape
    down, across = np.arange(0, height, patch), np.arange(0, width, patch)
    sums = np.add.reduceat(np.add.reduceat(asked.maps, down, axis=1), across, axis=2)
    place = ranks_from_the_top(sums)
    place = place[:, np.arange(height) // patch][:, :, np.arange(width) // patch]
    whole = asked.scores(asked.images)
    falls = [np.zeros(len(whole))]
    for gone in range(1, min(regions or sums[0].size, sums[0].size) + 1):
        falls.append(whole - asked.scores(covered(asked.images, place < gone, fill)))
    return np.mean(falls, axis=0)
