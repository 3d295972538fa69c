"""Deletion and insertion: does the confidence live where a map says that it does?

Pixels are covered in the order of their importance, the most important first, and the target's
confidence is followed: it falls fast if the map is right (deletion). Uncovering them from nothing,
it rises fast (insertion). Source: RISE, arXiv 1806.07421.
"""

from typing import Any

import numpy as np
import tensorflow as tf

from tfrobust.core.images import check_images
from tfrobust.core.opaque import Model
from tfrobust.errors import InputError
from tfrobust.explanations.blocks import blocks, chosen_targets, confidence


def deletion(
    model: Model,
    images: Any,
    targets: Any,
    maps: np.ndarray,
    *,
    steps: int = 20,
    fill: float = 0.5,
    batch: int = 32,
) -> np.ndarray:
    """The area under the target's confidence while the most important pixels are covered.

    Args:
        model: gives logits (B, K) for images.
        images: float (N, H, W, C) in [0, 1].
        targets: int (N,) or a single int; None or −1 for the predicted class.
        maps: float (N, H, W), how much each pixel matters; of equal ones, the first goes first.
        steps: in how many equal parts the pixels go.
        fill: the value that covers, from 0 to 1.
        batch: images that the network sees at a time.

    Returns:
        float64 (N,) from 0 to 1, by the trapezoidal rule over the share of pixels covered: the
        smaller, the better the map.

    Raises:
        InputError: images outside [0, 1], maps that do not fit them, no step, a fill outside
            [0, 1], or a target that is no class.
    """
    return _area(model, images, targets, maps, steps, fill, batch, uncover=False)


def insertion(
    model: Model,
    images: Any,
    targets: Any,
    maps: np.ndarray,
    *,
    steps: int = 20,
    fill: float = 0.5,
    batch: int = 32,
) -> np.ndarray:
    """The area under the target's confidence while the most important pixels are uncovered.

    Args:
        model: as for `deletion`, and so are the others.
        images: float (N, H, W, C) in [0, 1].
        targets: int (N,) or a single int; None or −1 for the predicted class of the whole image.
        maps: float (N, H, W).
        steps: in how many equal parts the pixels come.
        fill: the value of what is covered, from 0 to 1.
        batch: images that the network sees at a time.

    Returns:
        float64 (N,) from 0 to 1: the larger, the better the map.

    Raises:
        InputError: as for `deletion`.
    """
    return _area(model, images, targets, maps, steps, fill, batch, uncover=True)


def _area(
    model: Model,
    images: Any,
    targets: Any,
    maps: np.ndarray,
    steps: int,
    fill: float,
    batch: int,
    *,
    uncover: bool,
) -> np.ndarray:
    images, maps = np.asarray(images, np.float32), np.asarray(maps)
    check_images(images, np.zeros(images.shape[:1]))
    if maps.shape != images.shape[:3]:
        raise InputError(f"expected maps of shape {images.shape[:3]}, got {maps.shape}")
    if steps < 1 or batch < 1 or not 0 <= fill <= 1:
        raise InputError(
            "expected at least 1 step, a batch of at least 1 and a fill from 0 to 1, got "
            f"{steps}, {batch}, {fill}"
        )
    classes = np.asarray(chosen_targets(targets, len(images))).copy()
    for block in blocks(model, images, classes, batch):
        classes[block.first : block.first + block.asked] = block.targets[: block.asked]
    pixels = maps[0].size if len(maps) else 0
    order = np.argsort(-maps.reshape(len(maps), pixels), axis=-1, kind="stable")
    place = np.argsort(order, axis=-1).reshape(maps.shape)  # 0 for the most important pixel
    shares = np.arange(steps + 1) / steps
    curve = np.zeros((steps + 1, len(images)))
    for row, share in enumerate(shares):
        gone = (place < round(share * pixels)) != uncover
        changed = np.where(gone[..., None], np.float32(fill), images)
        for block in blocks(model, changed, classes, batch):
            sure = confidence(block.logits, tf.cast(block.targets, tf.int32))
            curve[row, block.first : block.first + block.asked] = sure[: block.asked]
    return ((curve[1:] + curve[:-1]) / 2).mean(axis=0)
