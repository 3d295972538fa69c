"""Maps against regions of known evidence: the checks that all measures share."""

from typing import Any

import numpy as np

from tfrobust.errors import InputError


def checked(maps: Any, regions: Any) -> tuple[np.ndarray, np.ndarray]:
    """Maps and regions as rows of pixels.

    Args:
        maps: float (N, H, W).
        regions: bool (N, H, W), or numbers 0 and 1: where the evidence is.

    Returns:
        float64 (N, P) and bool (N, P).

    Raises:
        InputError: shapes that differ, maps that are not finite, regions with other values than 0
            and 1, or an image without a region.
    """
    maps, regions = np.asarray(maps, np.float64), np.asarray(regions)
    if maps.ndim != 3 or regions.shape != maps.shape:
        raise InputError(
            f"expected maps and regions (N, H, W) of one shape, got {maps.shape} and "
            f"{regions.shape}"
        )
    if not np.isfinite(maps).all():
        raise InputError("expected maps of finite numbers, got some that are NaN or infinite")
    if not np.isin(regions, (0, 1)).all():
        raise InputError(f"expected regions of False and True, got values {np.unique(regions)[:5]}")
    pixels = maps.shape[1] * maps.shape[2]
    rows = regions.astype(bool).reshape(len(regions), pixels)
    empty = np.nonzero(~rows.any(axis=-1))[0]
    if len(empty):
        raise InputError(
            f"expected a region in every image, got none in {len(empty)} of {len(rows)}, the first "
            f"of them image {empty[0]}: leave those out"
        )
    return maps.reshape(len(maps), pixels), rows
