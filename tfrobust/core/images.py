"""The one check of images and labels."""

import numpy as np

from tfrobust.core.opaque import Model
from tfrobust.errors import InputError


def check_images(images: np.ndarray, classes: np.ndarray, model: Model | None = None) -> None:
    """Refuses what no attack can be run on.

    Args:
        images: should be (N, H, W, C) in [0, 1].
        classes: should be (N,), from 0.
        model: what the images are for, where that is known.

    Raises:
        InputError: says what was expected and what came.
    """
    if images.ndim != 4:
        raise InputError(f"expected images of shape (N, H, W, C), got {images.shape}")
    taken = getattr(model, "input_shape", None)
    if isinstance(taken, tuple) and len(taken) == 4:
        for size, wanted in zip(images.shape[1:], taken[1:], strict=True):
            if wanted not in (None, size):
                raise InputError(f"expected images of shape {taken}, got {images.shape}")
    if classes.shape != (len(images),):
        raise InputError(f"expected {len(images)} labels, one an image, got {classes.shape}")
    if np.isnan(images).any():
        raise InputError("expected pixels from 0 to 1, got NaN; look for a division by zero")
    if images.size and not (images.min() >= 0 and images.max() <= 1):
        raise InputError(
            "expected pixels from 0 to 1, got some from "
            f"{images.min():.3g} to {images.max():.3g}; divide 8-bit images by 255"
        )
    if len(classes) and classes.min() < 0:
        raise InputError(f"expected classes from 0, got {classes.min()}")
