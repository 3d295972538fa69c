"""Nearness to the data: does a changed image still look like an image of the data set?"""

from typing import Any

import numpy as np

from tfrobust.errors import InputError

ROWS = 1024


def distance_to_data(images: Any, references: Any) -> np.ndarray:
    """The distance of each image from the nearest of the data set.

    Compare the distances of explanations with those of their images: where they grow less than the
    change is large, the change leads towards the data.

    Args:
        images: float (N, H, W, C), such as `explanation.explanation`.
        references: float (M, H, W, C), M at least 1, such as the training images.

    Returns:
        float64 (N,), RMSE in the unit of the pixels.

    Raises:
        InputError: images of different sizes, or no reference.
    """
    images, references = np.asarray(images), np.asarray(references)
    if images.ndim != 4 or references.shape[1:] != images.shape[1:] or not len(references):
        raise InputError(
            "expected images (N, H, W, C) and at least one reference of the same size, got "
            f"{images.shape} and {references.shape}"
        )
    rows = images.reshape(len(images), -1).astype(np.float64)
    nearest = np.full(len(rows), np.inf)
    for first in range(0, len(references), ROWS):
        part = references[first : first + ROWS].reshape(-1, rows.shape[1]).astype(np.float64)
        squares = (rows**2).sum(axis=1)[:, None] - 2 * rows @ part.T + (part**2).sum(axis=1)
        nearest = np.minimum(nearest, squares.min(axis=1))
    return np.sqrt(np.maximum(nearest, 0) / max(1, rows.shape[1]))
