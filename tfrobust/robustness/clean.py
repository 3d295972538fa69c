"""The network's answers to the images as they are: checked before any long work."""

import functools
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tfrobust.core.criteria import class_margin, cross_entropy
from tfrobust.core.gradients import input_gradient
from tfrobust.core.opaque import Model, Opaque, answers
from tfrobust.errors import InputError

# What attacks follow.
OBJECTIVES = {"cross-entropy": cross_entropy, "margin": class_margin}


def count_classes(network: Model, images: np.ndarray) -> int:
    """K, from the network's answer to the first image.

    Args:
        network: images (B, H, W, C) → logits (B, K).
        images: float32 (N, H, W, C).

    Raises:
        InputError: images that it does not take, an answer that is not of shape (B, K), or one
            that TensorFlow cannot differentiate, unless the network is `Opaque` and says so.
    """
    # Twice the same: on some CPUs TensorFlow 2.21 crashes where it derives a 1×1 convolution with
    # stride 2 of one image (Conv2DBackpropFilter by oneDNN, uncompiled).
    pair = tf.constant(np.repeat(images[:1], 2, axis=0))
    try:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(pair)
            logits = network(pair)
    except (ValueError, tf.errors.InvalidArgumentError) as error:
        raise InputError(
            f"expected a network that takes images of shape {images.shape[1:]}, got: "
            f"{str(error).strip().splitlines()[0]}"
        ) from error
    shape = getattr(logits, "shape", None)
    if shape is None or len(shape) != 2 or shape[0] != 2 or shape[1] < 2:
        got = type(logits).__name__ if shape is None else f"shape {tuple(shape)} for two images"
        raise InputError(
            f"expected a network that gives logits (B, K) of at least 2 classes, got {got}"
        )
    if isinstance(network, Opaque):
        return int(shape[1])
    if not tf.is_tensor(logits) or tape.gradient(logits, pair) is None:
        raise InputError(
            "expected a network whose logits have a gradient with respect to the images in "
            "TensorFlow, got one without: attacks cannot search through NumPy, ONNX or rounding. "
            "Let the gradient pass quantised images, x + tf.stop_gradient(tf.round(x) - x), or "
            "attack without gradients, as an Opaque network (tfrobust.core.opaque)"
        )
    return int(shape[1])


class Clean(NamedTuple):
    """A network's answers to images as they are.

    Args:
        logits: float32 (N, K).
        steepest: by what attacks follow, "cross-entropy" and "margin", float32 (N,): the largest
            value of each image's gradient of it, without its sign; NaN where the gradient is not
            finite. Empty for a network without gradients.
    """

    logits: np.ndarray
    steepest: dict[str, np.ndarray]


@tf.function(jit_compile=True)
def answers_and_gradients(
    model: Model, images: tf.Tensor, classes: tf.Tensor
) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """Logits (B, K), and each objective's gradient (B, H, W, C)."""
    gradients = {}
    for name, objective in OBJECTIVES.items():
        logits, gradients[name] = input_gradient(
            model, images, functools.partial(objective, classes=classes)
        )
    return logits, gradients


def clean_pass(network: Model, images: np.ndarray, labels: np.ndarray, batch_size: int) -> Clean:
    """Answers in fixed blocks, and how steep what attacks follow is.

    Args:
        network: images (B, H, W, C) → logits (B, K).
        images: float32 (N, H, W, C) in [0, 1].
        labels: int32 (N,).
        batch_size: images computed at a time.

    Raises:
        InputError: logits that are not finite, or that are probabilities.
    """
    if isinstance(network, Opaque):
        logits, steepest = logits_of(network, images, batch_size), {}
    else:
        parts, steep = [], []
        for rows in _blocks(len(images), batch_size):
            answer, gradients = answers_and_gradients(
                network, tf.constant(images[rows]), tf.constant(labels[rows])
            )
            parts.append(answer.numpy())
            steep.append([_steepest(gradients[name].numpy()) for name in OBJECTIVES])
        logits = np.concatenate(parts)[: len(images)]
        steepest = dict(zip(OBJECTIVES, np.concatenate(steep, axis=1), strict=True))
        steepest = {name: values[: len(images)] for name, values in steepest.items()}
    if not np.all(np.isfinite(logits)):
        bad = int((~np.isfinite(logits)).any(axis=1).sum())
        raise InputError(
            f"expected finite logits, got NaN or infinity for {bad} of {len(images)} images; "
            "did the training diverge?"
        )
    if logits.min() >= 0 and np.allclose(logits.sum(axis=1), 1.0, atol=1e-3):
        raise InputError(
            "expected logits, got rows of probabilities that sum to 1: pass the network without "
            "its softmax (tfrobust.models.logits_network takes a Keras classifier's away), or "
            "sizes would be measured through its flat ends, where gradients vanish"
        )
    return Clean(logits, steepest)


def logits_of(network: Model, images: np.ndarray, batch_size: int) -> np.ndarray:
    """Logits float32 (N, K) of images (N, H, W, C), `block` at a time."""
    parts = [
        answers(network, tf.constant(images[rows], tf.float32)).numpy()
        for rows in _blocks(len(images), batch_size)
    ]
    return np.concatenate(parts)[: len(images)]


def _blocks(count: int, batch_size: int) -> Iterator[np.ndarray]:
    """Rows, all blocks of one size, or each new size is compiled anew."""
    for start in range(0, count, batch_size):
        yield np.arange(start, start + batch_size) % count


def _steepest(gradient: np.ndarray) -> np.ndarray:
    """(B, H, W, C) → (B,); not the root mean square, whose squares underflow."""
    largest = np.abs(gradient).max(axis=(1, 2, 3))
    return np.where(np.isfinite(largest), largest, np.nan)
