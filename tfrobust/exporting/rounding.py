"""How far rounding alone moves what a network computes: two forms of it cannot be asked for less.

A form adds up in another order than Keras, which changes numbers by a few units in the last place.
Deep networks without an average over a batch's statistics, such as ConvNeXt, carry such a change on
to logits in which it is a hundred times as large. How much, a network shows itself, when its pixels
move by as little.
"""

from collections.abc import Callable

import numpy as np

# So many images are moved so often, by the last place of a pixel between 1/2 and 1. A form may be
# so many times as far off as the farthest of them.
MOVED, DRAWS, STEP, TIMES = 8, 2, np.float32(2**-24), 3.0


def neighbours(images: np.ndarray) -> list[np.ndarray]:
    """The first eight images, twice, with each value moved up or down by 2⁻²⁴.

    Args:
        images: float32 (N, H, W, C), in [0, 1] or near it.
    """
    images = images[:MOVED]
    rng = np.random.default_rng(0)
    return [images + rng.choice([-STEP, STEP], images.shape) for _ in range(DRAWS)]


def allowed(
    least: float, most: float, apart: Callable[[np.ndarray], float], images: np.ndarray
) -> float:
    """How far a form may be from Keras.

    Args:
        least: what any network is allowed.
        most: beyond it a form is not taken, however the network answers to rounding.
        apart: how far the answers to `neighbours` of images are from the answers to the images.
        images: float32 (N, H, W, C).

    Returns:
        Three times what rounding does, but between `least` and `most`.
    """
    moved = TIMES * max(apart(near) for near in neighbours(images))
    return float(np.clip(moved, least, most)) if np.isfinite(moved) else least
