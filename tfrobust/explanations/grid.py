"""Patches that lie side by side: the parts of an image that are covered or kept as a whole."""

import numpy as np


def grid(height: int, width: int, patch: int | None) -> np.ndarray:
    """The pixels of each of P patches, from the upper left corner on. Patches do not overlap.

    Args:
        height, width: of the image.
        patch: the side of a patch in pixels; None for an eighth of the image's longer side.

    Returns:
        bool (P, H, W).
    """
    side = patch or max(1, round(max(height, width) / 8))
    across = -(-width // side)
    rows, columns = np.arange(height) // side, np.arange(width) // side
    number = rows[:, None] * across + columns
    found: np.ndarray = number == np.unique(number)[:, None, None]
    return found
