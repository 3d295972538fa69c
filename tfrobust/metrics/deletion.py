"""Deletion and insertion: does the confidence live where a map says that it does?

Pixels are covered in the order of their importance, the most important first, and the target's
confidence is followed: it falls fast if the map is right (deletion). Uncovering them from nothing,
it rises fast (insertion). Source: RISE, arXiv 1806.07421.
"""

import functools
from typing import Any

import numpy as np
import tensorflow as tf

from tfrobust.core.classifier import Classifier, Model, answers, logits_of
from tfrobust.errors import InputError
from tfrobust.explanations.targets import by_batches, confidence, question


def deletion(
    model: Model,
    images: Any,
    targets: Any,
    maps: np.ndarray,
    *,
    steps: int = 20,
    fill: float = 0.5,
    batch_size: int = 32,
) -> np.ndarray:
    """The area under the target's confidence while the most important pixels are covered.

    Args:
        model: what `as_classifier` takes.
        images: float (N, H, W, C) in [0, 1].
        targets: int (N,) or a single int; None or −1 for the predicted class.
        maps: float (N, H, W), how much each pixel matters; of equal ones, the first goes first.
        steps: in how many equal parts the pixels go.
        fill: the value that covers, from 0 to 1.
        batch_size: images that the network sees at a time.

    Returns:
        float64 (N,) from 0 to 1, by the trapezoidal rule over the share of pixels covered: the
        smaller, the better the map.

    Raises:
        InputError: images outside [0, 1], maps that do not fit them, no step, a fill outside
            [0, 1], or a target that is no class.
    """
    return _area(model, images, targets, maps, steps, fill, batch_size, uncover=False)


def insertion(
    model: Model,
    images: Any,
    targets: Any,
    maps: np.ndarray,
    *,
    steps: int = 20,
    fill: float = 0.5,
    batch_size: int = 32,
) -> np.ndarray:
    """The area under the target's confidence while the most important pixels are uncovered.

    Args:
        model: as for `deletion`, and so are the others.
        images: float (N, H, W, C) in [0, 1].
        targets: int (N,) or a single int; None or −1 for the predicted class of the whole image.
        maps: float (N, H, W).
        steps: in how many equal parts the pixels come.
        fill: the value of what is covered, from 0 to 1.
        batch_size: images that the network sees at a time.

    Returns:
        float64 (N,) from 0 to 1: the larger, the better the map.

    Raises:
        InputError: as for `deletion`.
    """
    return _area(model, images, targets, maps, steps, fill, batch_size, uncover=True)


def _area(
    model: Model,
    images: Any,
    targets: Any,
    maps: np.ndarray,
    steps: int,
    fill: float,
    batch_size: int,
    *,
    uncover: bool,
) -> np.ndarray:
    network, images, classes = question(model, images, targets)
    maps = np.asarray(maps)
    if maps.shape != images.shape[:3]:
        raise InputError(f"expected maps of shape {images.shape[:3]}, got {maps.shape}")
    if steps < 1 or batch_size < 1 or not 0 <= fill <= 1:
        raise InputError(
            "expected at least 1 step, a batch_size of at least 1 and a fill from 0 to 1, got "
            f"{steps}, {batch_size}, {fill}"
        )
    if not len(images):
        return np.zeros(0)
    logits = logits_of(network, images, 1 if len(images) == 1 else batch_size)
    classes = np.where(classes < 0, logits.argmax(axis=-1), classes).astype(np.int32)
    pixels = maps[0].size
    order = np.argsort(-maps.reshape(len(maps), pixels), axis=-1, kind="stable")
    place = np.argsort(order, axis=-1).reshape(maps.shape)  # 0 for the most important pixel
    curve = np.zeros((steps + 1, len(images)))
    for row, share in enumerate(np.arange(steps + 1) / steps):
        gone = (place < round(share * pixels)) != uncover
        changed = np.where(gone[..., None], np.float32(fill), images)
        curve[row] = by_batches(functools.partial(_sure, network), batch_size, changed, classes)
    return ((curve[1:] + curve[:-1]) / 2).mean(axis=0)


def _sure(network: Classifier, images: tf.Tensor, classes: tf.Tensor) -> tf.Tensor:
    return confidence(answers(network, images), classes)
