"""Samples of test images that stand for all of them."""

from typing import NamedTuple

import numpy as np


class Sample(NamedTuple):
    """Test images, and what is known of them.

    Args:
        images: float32 (N, H, W, C) in [0, 1].
        labels: int32 (N,), or (N, K) of a multi-label set.
        files: N file names; empty if there are none.
        groups: what each image belongs to, such as one of the patients, by number; empty if nothing
            groups them.
        drawn: a few words for reports that say which images these are.
    """

    images: np.ndarray
    labels: np.ndarray
    files: tuple[str, ...]
    groups: tuple[str, ...]
    drawn: str


def by_label(labels: np.ndarray, seed: int) -> np.ndarray:
    """An order of images whose every beginning has labels in the shares that all of them have.

    Each label's images are shuffled and spread evenly over the order. So a beginning is a
    stratified sample, whose places are apportioned to the labels by the method of Sainte-Laguë.

    Args:
        labels: int (N,); or 0 or 1 for each label, (N, K), where an image counts as one of the
            rarest label that it has.
        seed: of the draw.

    Returns:
        int64 (N,), the numbers of the images.
    """
    if labels.ndim == 2:
        frequent = np.where(labels > 0, labels.sum(axis=0), np.inf)
        labels = np.where(labels.any(axis=1), frequent.argmin(axis=1), -1)
    rng = np.random.default_rng(seed)
    place = np.empty(len(labels))
    for label in np.unique(labels):
        own = np.flatnonzero(labels == label)
        place[own] = (rng.permutation(len(own)) + 0.5) / len(own)
    return np.lexsort((rng.permutation(len(labels)), place))


def drawn(count: int, total: int, what: str, seed: int | None) -> str:
    """Says which images a sample has.

    Args:
        count: of its images.
        total: of the images that it is drawn from.
        what: these are, such as "test images".
        seed: of the draw by label; None for the first images.
    """
    if seed is None:
        return f"first {count} {what}"
    if count == total:
        return f"all {total:,} {what}"
    return f"{count:,} of {total:,} {what}, drawn by label, seed {seed}"
