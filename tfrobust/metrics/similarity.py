"""How alike two maps of the same image are: rank correlation and the top pixels in common."""

import numpy as np
from scipy.stats import rankdata

from tfrobust.errors import InputError


def rank_correlation(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Spearman's rank correlation of two maps, image by image; ties share their mean rank.

    Args:
        one: float (N, H, W).
        other: float (N, H, W).

    Returns:
        float64 (N,) from −1 to 1: 1 for the same order of pixels. Two maps without any
        differences between pixels are equal, 1; one such map and another have nothing in
        common, 0.

    Raises:
        InputError: maps of different shapes.
    """
    one, other = _rows(one, other)
    if not one.size:
        return np.zeros(len(one))
    ranks = [rankdata(values, axis=-1) for values in (one, other)]
    both_flat = (np.ptp(one, axis=-1) == 0) & (np.ptp(other, axis=-1) == 0)
    return np.where(both_flat, 1.0, correlation(*ranks))


def correlation(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Pearson's correlation, row by row.

    Args:
        one: float (N, D).
        other: float (N, D).

    Returns:
        float64 (N,) from −1 to 1; 0 where a row has no differences, and so nothing to tell.
    """
    first, second = (values - values.mean(axis=-1, keepdims=True) for values in (one, other))
    sizes = np.sqrt((first**2).sum(axis=-1) * (second**2).sum(axis=-1))
    shared = (first * second).sum(axis=-1) / np.where(sizes > 0, sizes, 1)
    # The mean of equal numbers may differ from them by rounding.
    varies = (np.ptp(one, axis=-1) > 0) & (np.ptp(other, axis=-1) > 0)
    return np.where(varies, shared, 0.0)


def ranks_from_the_top(maps: np.ndarray) -> np.ndarray:
    """The place of each pixel, 0 for the most important one; of equal ones the first goes first.

    Args:
        maps: float (N, H, W).

    Returns:
        int (N, H, W).
    """
    order = np.argsort(-maps.reshape(len(maps), -1), axis=-1, kind="stable")
    return np.argsort(order, axis=-1).reshape(maps.shape)


def top_k_overlap(one: np.ndarray, other: np.ndarray, *, share: float = 0.1) -> np.ndarray:
    """Which part of the most important pixels of one map are so in the other as well.

    Args:
        one: float (N, H, W).
        other: float (N, H, W).
        share: the most important pixels' share of all, above 0 and at most 1; at least one
            pixel is taken. Of equal pixels, the first.

    Returns:
        float64 (N,) from 0 to 1; about `share` for maps that have nothing to do with each other.

    Raises:
        InputError: maps of different shapes, or a share out of range.

    Source: arXiv 1710.10547, "top-k intersection".
    """
    if not 0 < share <= 1:
        raise InputError(f"expected a share above 0 and at most 1, got {share}")
    one, other = _rows(one, other)
    k = max(1, round(share * one.shape[1]))
    return (top(one, k) & top(other, k)).sum(axis=-1) / k


def top(values: np.ndarray, k: int) -> np.ndarray:
    """Which are the k largest of each row: float (N, P) → bool (N, P)."""
    chosen = np.zeros(values.shape, bool)
    np.put_along_axis(chosen, np.argsort(-values, axis=-1, kind="stable")[:, :k], True, axis=-1)
    return chosen


def _rows(one: np.ndarray, other: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    if np.shape(one) != np.shape(other) or np.ndim(one) != 3:
        raise InputError(
            f"expected two maps (N, H, W) of one shape, got {np.shape(one)} and {np.shape(other)}"
        )
    flat = (np.shape(one)[0], np.shape(one)[1] * np.shape(one)[2])
    return np.reshape(one, flat).astype(np.float64), np.reshape(other, flat).astype(np.float64)
