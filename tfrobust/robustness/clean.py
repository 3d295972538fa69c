"""The network's answers to the images as they are, checked before any long work."""

import functools
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tfrobust.core.batching import in_batches
from tfrobust.core.classifier import Classifier, compiled, logits_of
from tfrobust.core.criteria import class_margin, cross_entropy
from tfrobust.core.gradients import input_gradient
from tfrobust.core.logit_checks import check_logits

# What attacks follow.
OBJECTIVES = {"cross-entropy": cross_entropy, "margin": class_margin}


class Clean(NamedTuple):
    """A network's answers to images as they are.

    Args:
        logits: float32 (N, K).
        steepest: for each objective that attacks follow, float32 (N,): the largest absolute value
            of each image's gradient of it; NaN where the gradient is not finite. It is empty for
            a network without gradients.
    """

    logits: np.ndarray
    steepest: dict[str, np.ndarray]


@compiled
def answers_and_gradients(
    network: Classifier, images: tf.Tensor, classes: tf.Tensor
) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """The logits (B, K), and each objective's gradient (B, H, W, C)."""
    gradients = {}
    for name, objective in OBJECTIVES.items():
        logits, gradients[name] = input_gradient(
            network, images, functools.partial(objective, classes=classes)
        )
    return logits, gradients


def clean_pass(
    network: Classifier, images: np.ndarray, labels: np.ndarray, batch_size: int
) -> Clean:
    """Asks the network for its logits, and for how steep the objectives of attacks are.

    Args:
        network: what is evaluated.
        images: float32 (N, H, W, C) in [0, 1], N at least 1.
        labels: int32 (N,).
        batch_size: images computed at a time.

    Raises:
        InputError: logits that are not finite, or that are probabilities.
    """
    if network.has_gradient:
        clean = Clean(*in_batches(functools.partial(_asked, network), batch_size, images, labels))
    else:
        clean = Clean(logits_of(network, images, batch_size), {})
    check_logits(clean.logits)
    return clean


def _asked(
    network: Classifier, images: tf.Tensor, labels: tf.Tensor
) -> tuple[tf.Tensor, dict[str, np.ndarray]]:
    logits, gradients = answers_and_gradients(network, images, labels)
    return logits, {name: _steepest(gradients[name].numpy()) for name in OBJECTIVES}


def _steepest(gradient: np.ndarray) -> np.ndarray:
    """(B, H, W, C) → (B,). It is not the root mean square, because squares underflow."""
    largest = np.abs(gradient).max(axis=(1, 2, 3))
    return np.where(np.isfinite(largest), largest, np.nan)
