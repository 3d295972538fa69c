"""The network's score of a class, which measures of faithfulness follow while pixels change."""

import functools
from typing import Any, Literal, NamedTuple

import numpy as np
import tensorflow as tf

from tfrobust.core.classifier import Classifier, Model, answers, logits_of
from tfrobust.errors import InputError
from tfrobust.explanations.targets import by_batches, confidence, question

Score = Literal["confidence", "logit"]


class Judged(NamedTuple):
    """Images whose maps are judged, checked.

    Args:
        network: the classifier.
        images: float32 (N, H, W, C) in [0, 1]; N may be 0.
        classes: int32 (N,), the class explained: the predicted one where none was given.
        maps: float64 (N, H, W), or (N, H, W, 1 or C) where values of channels are judged.
        score: "confidence", the softmax of the class, or "logit".
        batch_size: images that the network sees at a time.
    """

    network: Classifier
    images: np.ndarray
    classes: np.ndarray
    maps: np.ndarray
    score: Score
    batch_size: int

    def scores(self, images: np.ndarray) -> np.ndarray:
        """float64 (N,): the score of each one's class for `images`, float (N, H, W, C)."""
        if not len(images):
            return np.zeros(0)
        ask = functools.partial(_score, self.network, self.score)
        changed = np.asarray(images, np.float32)
        found: np.ndarray = by_batches(ask, self.batch_size, changed, self.classes)
        return found.astype(np.float64)


def judged(
    model: Model,
    images: Any,
    targets: Any,
    maps: Any,
    score: Score,
    batch_size: int,
    *,
    channels: bool = False,
) -> Judged:
    """Checks what a measure of faithfulness is asked about.

    Args:
        model: what `as_classifier` takes.
        images: float (N, H, W, C) in [0, 1].
        targets: int (N,) or a single int; None or −1 for the predicted class.
        maps: float (N, H, W); with `channels` also (N, H, W, C) or (N, H, W, 1).
        score: "confidence" or "logit".
        batch_size: images that the network sees at a time.
        channels: whether values of single channels are judged.

    Raises:
        InputError: says what was expected and what came.
    """
    network, images, classes = question(model, images, targets)
    maps = np.asarray(maps, np.float64)
    shapes = [images.shape[:3]]
    if channels:
        shapes += [images.shape, (*images.shape[:3], 1)]
    if maps.shape not in shapes:
        raise InputError(f"expected maps of shape {shapes[0]}, got {maps.shape}")
    if not np.isfinite(maps).all():
        raise InputError("expected maps of finite numbers, got some that are NaN or infinite")
    if score not in ("confidence", "logit") or batch_size < 1:
        raise InputError(
            "expected a score of 'confidence' or 'logit' and a batch_size of at least 1, got "
            f"{score!r}, {batch_size}"
        )
    if len(images):
        logits = logits_of(network, images, 1 if len(images) == 1 else batch_size)
        classes = np.where(classes < 0, logits.argmax(axis=-1), classes).astype(np.int32)
    return Judged(network, images, classes, maps, score, batch_size)


def check_fill(fill: float) -> None:
    """Refuses a value that covers pixels and lies outside [0, 1].

    Raises:
        InputError: says which came.
    """
    if not 0 <= fill <= 1:
        raise InputError(f"expected a fill from 0 to 1, got {fill}")


def check_counts(**counts: int) -> None:
    """Refuses counts below 1.

    Raises:
        InputError: says which came.
    """
    for name, count in counts.items():
        if count < 1:
            raise InputError(f"expected {name} of at least 1, got {count}")


def covered(images: np.ndarray, pixels: np.ndarray, fill: float) -> np.ndarray:
    """Images (N, H, W, C) with `fill` where pixels, bool (N, H, W), are covered."""
    return np.where(pixels[..., None], np.float32(fill), images)


def _score(network: Classifier, score: Score, images: tf.Tensor, classes: tf.Tensor) -> tf.Tensor:
    logits = answers(network, images)
    if score == "logit":
        return tf.gather(logits, classes, batch_dims=1)
    return confidence(logits, classes)
