"""Images in blocks of one size, each with the class to explain: what all methods run on."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from tfrobust.core.criteria import cross_entropy
from tfrobust.core.images import check_images
from tfrobust.core.opaque import Model, answers
from tfrobust.errors import InputError


class Block(NamedTuple):
    """What is explained at a time.

    Args:
        images: float32 (B, H, W, C) in [0, 1].
        targets: int32 (B,), the class to explain, none of them −1.
        logits: float32 (B, K), of the images.
        asked: how many of the B are asked for; the others only fill the block.
        first: the place of the first image among all.
    """

    images: tf.Tensor
    targets: tf.Tensor
    logits: tf.Tensor
    asked: int
    first: int


def blocks(model: Model, images: np.ndarray, targets: np.ndarray, size: int) -> Iterator[Block]:
    """Cuts images into blocks of one size, so that nothing is compiled twice.

    Args:
        model: gives logits (B, K) for images.
        images: float32 (N, H, W, C) in [0, 1].
        targets: int32 (N,); −1 for the predicted class.
        size: B. A single image makes a block of its own: it does not wait for copies of itself.

    Yields:
        The blocks.

    Raises:
        InputError: a target that is no class of the network.
    """
    size = 1 if len(images) == 1 else size
    for first in range(0, len(images), size):
        part, classes = images[first : first + size], targets[first : first + size]
        missing = size - len(part)
        padded = tf.constant(np.concatenate([part, np.repeat(part[:1], missing, axis=0)]))
        logits = answers(model, padded)
        check_targets(classes, logits.shape[-1])
        chosen = np.concatenate([classes, np.repeat(classes[:1], missing)])
        chosen = np.where(chosen < 0, np.argmax(logits, axis=-1), chosen).astype(np.int32)
        yield Block(padded, tf.constant(chosen), logits, len(part), first)


def confidence(logits: tf.Tensor, classes: tf.Tensor) -> tf.Tensor:
    """Softmax of one class per image: logits (B, K), int (B,) → (B,)."""
    return tf.exp(-cross_entropy(logits, classes))


def rivals(model: Model, images: Any, classes: Any = None) -> np.ndarray:
    """The likeliest class other than a given one.

    Args:
        model: gives logits (B, K) for images.
        images: float (N, H, W, C) in [0, 1].
        classes: int (N,) or a single int; None or −1 for the predicted class.

    Returns:
        int32 (N,).

    Raises:
        InputError: images outside [0, 1], or a class that the network does not know.
    """
    images = np.asarray(images, np.float32)
    check_images(images, np.zeros(images.shape[:1]))
    found = [np.zeros(0, np.int32)]
    for block in blocks(model, images, chosen_targets(classes, len(images)), 32):
        others = block.logits.numpy()
        np.put_along_axis(others, block.targets.numpy()[:, None], -np.inf, axis=-1)
        found.append(others.argmax(axis=-1)[: block.asked].astype(np.int32))
    return np.concatenate(found)


def chosen_targets(targets: Any, count: int) -> np.ndarray:
    """One target an image, from what users may give: one class, one an image, or None.

    Args:
        targets: int (count,), a single int, or None for the predicted class (−1).
        count: N, the number of images.

    Returns:
        int32 (N,).

    Raises:
        InputError: another number of targets, or targets that are no whole numbers.
    """
    values = np.asarray(-1 if targets is None else targets)
    if values.shape not in ((), (count,)) or (values.size and values.dtype.kind not in "iu"):
        raise InputError(
            f"expected one whole number as target, or one for each of {count} images, got "
            f"{values.dtype} of shape {values.shape}"
        )
    # No class is below -1 or that large: a number too large for int32 must not become another.
    return np.broadcast_to(np.clip(values, -2, 2**31 - 1).astype(np.int32), (count,))


def check_targets(targets: np.ndarray, num_classes: int) -> None:
    """Refuses targets, int (N,), that are neither one of K classes nor −1, the predicted one.

    Raises:
        InputError: says which.
    """
    for target in targets:
        if not -1 <= target < num_classes:
            raise InputError(
                f"expected targets from 0 to {num_classes - 1}, or -1 for the predicted class, "
                f"got {target}"
            )
