"""The network's score of a class, which measures follow while pixels change."""

import functools
from typing import Literal

import numpy as np
import tensorflow as tf

from tfrobust.core.classifier import Classifier, answers
from tfrobust.explanations.targets import by_batches, confidence

Score = Literal["confidence", "logit"]


def scores(
    network: Classifier,
    images: np.ndarray,
    classes: np.ndarray,
    *,
    score: Score = "confidence",
    batch_size: int = 32,
) -> np.ndarray:
    """The score of each image's class.

    Args:
        network: is asked.
        images: float (N, H, W, C) in [0, 1]; N may be 0.
        classes: int32 (N,).
        score: "confidence", the softmax of the class, or "logit".
        batch_size: images that the network sees at a time.

    Returns:
        float64 (N,).
    """
    if not len(images):
        return np.zeros(0)
    ask = functools.partial(_score, network, score)
    found: np.ndarray = by_batches(ask, batch_size, np.asarray(images, np.float32), classes)
    return found.astype(np.float64)


def _score(network: Classifier, score: Score, images: tf.Tensor, classes: tf.Tensor) -> tf.Tensor:
    logits = answers(network, images)
    if score == "logit":
        return tf.gather(logits, classes, batch_dims=1)
    return confidence(logits, classes)
