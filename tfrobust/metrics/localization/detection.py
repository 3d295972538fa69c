"""A map as a detector: does a threshold on it tell the region's pixels from the others?"""

from typing import Any

import numpy as np
from scipy.stats import rankdata

from tfrobust.metrics.localization.regions import checked


def roc_auc(maps: Any, regions: Any) -> np.ndarray:
    """The area under the curve of hits against false alarms, over all thresholds.

    Args:
        maps: float (N, H, W).
        regions: bool (N, H, W), where the evidence is.

    Returns:
        float64 (N,) from 0 to 1: the probability that a pixel of the region has a larger value than
        one outside, ties by half. A map of chance has ½. NaN where the region is the whole image.

    Raises:
        InputError: maps and regions that do not fit.

    Source: Fawcett, An introduction to ROC analysis, Pattern Recognition Letters 27 (2006).
    """
    rows, inside = checked(maps, regions)
    if not len(rows):
        return np.zeros(0)
    hits, others = inside.sum(axis=-1), (~inside).sum(axis=-1)
    ranks = np.where(inside, rankdata(rows, axis=-1), 0).sum(axis=-1)
    pairs = hits * others
    return np.where(
        pairs > 0, (ranks - hits * (hits + 1) / 2) / np.where(pairs > 0, pairs, 1), np.nan
    )


def average_precision(maps: Any, regions: Any) -> np.ndarray:
    """The mean precision over the recalls at all thresholds.

    Args:
        maps: float (N, H, W).
        regions: bool (N, H, W), where the evidence is.

    Returns:
        float64 (N,) from 0 to 1, the larger the better. A map of one value has the region's share
        of the image.

    Raises:
        InputError: maps and regions that do not fit.
    """
    rows, inside = checked(maps, regions)
    found = np.zeros(len(rows))
    for number, (row, truth) in enumerate(zip(rows, inside, strict=True)):
        order = np.argsort(-row, kind="stable")
        values, right = row[order], np.cumsum(truth[order])
        # A threshold takes all pixels of one value together.
        last = np.append(values[1:] != values[:-1], True)
        precision = (right / np.arange(1, len(right) + 1))[last]
        recall = right[last] / right[-1]
        found[number] = (np.diff(recall, prepend=0) * precision).sum()
    return found
