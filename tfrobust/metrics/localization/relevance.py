"""Relevance in a region: how much of a map's mass, and of its top, lies where the evidence is?"""

from typing import Any

import numpy as np

from tfrobust.metrics.localization.regions import checked
from tfrobust.metrics.similarity import top


def relevance_mass(maps: Any, regions: Any) -> np.ndarray:
    """The share of a map's positive values that lies in the region.

    Args:
        maps: float (N, H, W). Values below 0 count as 0.
        regions: bool (N, H, W), where the evidence is.

    Returns:
        float64 (N,) from 0 to 1, the larger the better; 0 for a map without a positive value. A map
        of one value has the region's share of the image.

    Raises:
        InputError: maps and regions that do not fit.

    Source: Arras et al., arXiv 2003.07258, "relevance mass accuracy".
    """
    rows, inside = checked(maps, regions)
    positive = np.maximum(rows, 0)
    whole = positive.sum(axis=-1)
    return np.where(inside, positive, 0).sum(axis=-1) / np.where(whole > 0, whole, 1)


def relevance_rank(maps: Any, regions: Any) -> np.ndarray:
    """Which share of the K most important pixels lies in a region of K pixels.

    Args:
        maps: float (N, H, W). Of equal values, the first counts.
        regions: bool (N, H, W), where the evidence is.

    Returns:
        float64 (N,) from 0 to 1, the larger the better.

    Raises:
        InputError: maps and regions that do not fit.

    Source: Arras et al., arXiv 2003.07258, "relevance rank accuracy".
    """
    rows, inside = checked(maps, regions)
    return (_as_many(rows, inside) & inside).sum(axis=-1) / inside.sum(axis=-1)


def intersection_over_union(maps: Any, regions: Any) -> np.ndarray:
    """The overlap of a region of K pixels and the K most important ones, as IoU.

    Args:
        maps, regions: as for `relevance_rank`.

    Returns:
        float64 (N,) from 0 to 1, the larger the better.

    Raises:
        InputError: as for `relevance_rank`.
    """
    rows, inside = checked(maps, regions)
    chosen = _as_many(rows, inside)
    return (chosen & inside).sum(axis=-1) / (chosen | inside).sum(axis=-1)


def _as_many(rows: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """The largest values of each row, as many as lie inside: bool (N, P)."""
    chosen = [
        top(row[None], count)[0] for row, count in zip(rows, inside.sum(axis=-1), strict=True)
    ]
    return np.array(chosen, bool).reshape(inside.shape)
