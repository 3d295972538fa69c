"""The pointing game: does the most important pixel lie in the region of the evidence?"""

from typing import Any

import numpy as np
from scipy.ndimage import binary_dilation

from tfrobust.errors import InputError
from tfrobust.metrics.localization.regions import checked


def pointing_game(maps: Any, regions: Any, *, tolerance: int = 0) -> np.ndarray:
    """Whether each map's largest value lies in its region.

    Args:
        maps: float (N, H, W). Of equal values, the first counts.
        regions: bool (N, H, W), where the evidence is.
        tolerance: so many pixels around a region count as well, across and down.

    Returns:
        float64 (N,), 1 for a hit and 0 for a miss. A map of chance hits with the region's share of
        the image.

    Raises:
        InputError: maps and regions that do not fit, or a negative tolerance.

    Source: Zhang et al., arXiv 1608.00507, section 4.2 (there with 15 pixels).
    """
    if tolerance < 0:
        raise InputError(f"expected a tolerance of at least 0 pixels, got {tolerance}")
    rows, inside = checked(maps, regions)
    if tolerance and len(rows):
        grown = np.ones((1, 2 * tolerance + 1, 2 * tolerance + 1), bool)
        inside = binary_dilation(inside.reshape(np.shape(maps)), grown).reshape(inside.shape)
    if not len(rows):
        return np.zeros(0)
    return inside[np.arange(len(rows)), rows.argmax(axis=-1)].astype(np.float64)
