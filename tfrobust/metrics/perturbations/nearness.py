"""Nearness to the data: does a changed image still look like an image of the data set?"""

import math
from typing import Any

import numpy as np

from tfrobust.core.images import checked_images
from tfrobust.errors import InputError

ROWS = 1024


def distance_to_data(images: Any, references: Any) -> np.ndarray:
    """The distance of each image from the nearest of the data set.

    Compare the distances of explanations with those of their images: where they grow less than the
    change is large, the change leads towards the data.

    Args:
        images: float (N, H, W, C) or uint8, such as `explanation.explanation`.
        references: float (M, H, W, C) in [0, 1] or uint8, M at least 1, such as training images.

    Returns:
        float64 (N,), RMSE in units of pixels from 0 to 1.

    Raises:
        InputError: images of different sizes, no reference, or references outside [0, 1].
    """
    images, references = np.asarray(images), np.asarray(references)
    if images.ndim != 4 or references.shape[1:] != images.shape[1:] or not len(references):
        raise InputError(
            "expected images (N, H, W, C) and at least one reference of the same size, got "
            f"{images.shape} and {references.shape}"
        )
    # Explanations may leave [0, 1].
    images = checked_images(images) if images.dtype == np.uint8 else images
    rows = images.reshape(len(images), math.prod(images.shape[1:])).astype(np.float64)
    nearest = np.full(len(rows), np.inf)
    for first in range(0, len(references), ROWS):
        part = checked_images(references[first : first + ROWS]).astype(np.float64)
        part = part.reshape(len(part), rows.shape[1])
        squares = (rows**2).sum(axis=1)[:, None] - 2 * rows @ part.T + (part**2).sum(axis=1)
        nearest = np.minimum(nearest, squares.min(axis=1))
    return np.sqrt(np.maximum(nearest, 0) / max(1, rows.shape[1]))
