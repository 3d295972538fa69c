"""Thresholds of labels that may hold together, chosen on images. It does without TensorFlow."""

from typing import Any

import numpy as np

from tfrobust.errors import InputError

NEUTRAL = 0.5  # for a label that all images have, or none
LEAST = 1e-6  # from 0 and from 1: a threshold lies between them, also in float32


def youden_thresholds(probabilities: Any, labels: Any) -> tuple[float, ...]:
    """Chooses for each label the threshold at which sensitivity + specificity is largest.

    Choose on images that the network was not trained on, and measure on others: on the images
    that a threshold was chosen on, it looks better than it is.

    Args:
        probabilities: float (N, K) from 0 to 1, what the network says of N images.
        labels: (N, K) of 0 and 1.

    Returns:
        K thresholds for `as_labels`: each halfway between two probabilities, the nearest to one
        half of those that are equally good. One half where no image has the label, or all do.

    Raises:
        InputError: the two are of other shapes, or hold other numbers.

    Source: Youden, "Index for rating diagnostic tests", Cancer 3 (1950).
    """
    shares, truth = np.asarray(probabilities, np.float64), np.asarray(labels)
    if shares.ndim != 2 or shares.shape != truth.shape or not len(shares):
        raise InputError(
            "expected probabilities and labels of one shape (images, labels), got "
            f"{shares.shape} and {truth.shape}"
        )
    if not (np.isin(truth, (0, 1)).all() and (shares >= 0).all() and (shares <= 1).all()):
        raise InputError("expected probabilities from 0 to 1 and labels of 0 and 1")
    return tuple(_youden(one, holds == 1) for one, holds in zip(shares.T, truth.T, strict=True))


def _youden(shares: np.ndarray, holds: np.ndarray) -> float:
    """The threshold of one label: shares float64 (N,), holds bool (N,)."""
    if holds.all() or not holds.any():
        return NEUTRAL
    known = np.unique(shares)
    halfway = np.clip((known[1:] + known[:-1]) / 2, LEAST, 1 - LEAST)
    tried = np.concatenate([[NEUTRAL], halfway])
    with_it, without = (
        np.searchsorted(np.sort(some), tried, side="right") / len(some)
        for some in (shares[holds], shares[~holds])
    )
    index = without - with_it  # sensitivity + specificity − 1
    best = tried[index >= index.max() - 1e-12]  # rounding parts what is equally good
    return float(best[np.abs(best - NEUTRAL).argmin()])
