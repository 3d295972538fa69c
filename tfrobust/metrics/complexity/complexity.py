"""Complexity: how few pixels does a map speak of?"""

from typing import Any

import numpy as np

from tfrobust.errors import InputError


def sparseness(maps: Any) -> np.ndarray:
    """The Gini index of a map's values without their signs.

    Args:
        maps: float (N, H, W).

    Returns:
        float64 (N,) from 0, where all pixels matter the same, to nearly 1, where one does.
        A map of zeros has 0.

    Raises:
        InputError: maps of another shape, or numbers that are not finite.

    Source: Chalasani et al., arXiv 1810.06583, section 3.
    """
    rows = np.sort(_rows(maps), axis=-1)
    pixels, whole = rows.shape[1], rows.sum(axis=-1)
    weights = (pixels - np.arange(1, pixels + 1) + 0.5) / pixels
    shares = rows / np.where(whole > 0, whole, 1)[:, None]
    return np.where(whole > 0, 1 - 2 * (shares * weights).sum(axis=-1), 0.0)


def entropy(maps: Any) -> np.ndarray:
    """The entropy of the pixels' shares of a map.

    Args:
        maps: float (N, H, W). Signs do not count.

    Returns:
        float64 (N,) in nats: from 0, where one pixel matters, to log(H·W), where all matter the
        same. A map of zeros has log(H·W): it points nowhere.

    Raises:
        InputError: maps of another shape, or numbers that are not finite.

    Source: Bhatt et al., arXiv 2005.00631, definition 4.
    """
    rows = _rows(maps)
    whole = rows.sum(axis=-1, keepdims=True)
    shares = np.where(whole > 0, rows / np.where(whole > 0, whole, 1), 1 / max(1, rows.shape[1]))
    return -(shares * np.log(np.where(shares > 0, shares, 1))).sum(axis=-1)


def effective_complexity(maps: Any, *, threshold: float = 0.01) -> np.ndarray:
    """Which share of the pixels has a value worth speaking of.

    Args:
        maps: float (N, H, W). Signs do not count.
        threshold: in parts of the map's largest value, from 0 to below 1.

    Returns:
        float64 (N,) from 0 to 1: the smaller, the simpler. A map of zeros has 0.

    Raises:
        InputError: maps of another shape, numbers that are not finite, or a threshold out of range.

    Source: Nguyen and Martínez, arXiv 2007.07584, section 3.3; the threshold is relative here,
    because maps of different methods have no common unit.
    """
    if not 0 <= threshold < 1:
        raise InputError(f"expected a threshold from 0 to below 1, got {threshold}")
    rows = _rows(maps)
    return (rows > threshold * rows.max(axis=-1, initial=0, keepdims=True)).mean(axis=-1)


def _rows(maps: Any) -> np.ndarray:
    values = np.asarray(maps, np.float64)
    if values.ndim != 3:
        raise InputError(f"expected maps (N, H, W), got {values.shape}")
    if not np.isfinite(values).all():
        raise InputError("expected maps of finite numbers, got some that are NaN or infinite")
    return np.abs(values).reshape(len(values), values.shape[1] * values.shape[2])
