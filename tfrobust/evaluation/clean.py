"""The network's answers to the images as they are: checked before any long work."""

import functools

import numpy as np
import tensorflow as tf

from tfrobust.attacks.base import Model
from tfrobust.attacks.criteria import class_margin, cross_entropy
from tfrobust.attacks.paper import input_gradient
from tfrobust.errors import InputError

# What attacks follow.
_OBJECTIVES = {"cross-entropy": cross_entropy, "margin": class_margin}


def count_classes(network: Model, images: np.ndarray) -> int:
    """K, from the network's answer to the first image.

    Args:
        network: images (B, H, W, C) → logits (B, K).
        images: float32 (N, H, W, C).

    Raises:
        InputError: images that it does not take, an answer that is not of shape (B, K), or one
            that TensorFlow cannot differentiate.
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
    if not tf.is_tensor(logits) or tape.gradient(logits, pair) is None:
        raise InputError(
            "expected a network whose logits have a gradient with respect to the images in "
            "TensorFlow, got one without: attacks cannot search through NumPy, ONNX or rounding"
        )
    return int(shape[1])


@tf.function(jit_compile=True)
def _answers(
    model: Model, images: tf.Tensor, classes: tf.Tensor
) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """Logits, and whether each objective's gradient leads nowhere."""
    stuck = {}
    for name, objective in _OBJECTIVES.items():
        logits, gradient = input_gradient(
            model, images, functools.partial(objective, classes=classes)
        )
        leads = tf.reduce_any(gradient != 0, axis=(1, 2, 3))
        finite = tf.reduce_all(tf.math.is_finite(gradient), axis=(1, 2, 3))
        stuck[name] = ~(leads & finite)
    return logits, stuck


def clean_pass(
    network: Model, images: np.ndarray, labels: np.ndarray, block: int
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Answers in fixed blocks, and where attacks would find no way.

    Args:
        network: images (B, H, W, C) → logits (B, K).
        images: float32 (N, H, W, C) in [0, 1].
        labels: int32 (N,).
        block: images computed at a time.

    Returns:
        Logits float32 (N, K); and by objective ("cross-entropy", "margin") bool (N,), the images
        given their label whose gradient of it is all zero or not a number.

    Raises:
        InputError: logits that are not finite, or that are probabilities.
    """
    parts = []
    for start in range(0, len(images), block):
        # One size of block, or each new size is compiled anew.
        rows = np.arange(start, start + block) % len(images)
        parts.append(_answers(network, tf.constant(images[rows]), tf.constant(labels[rows])))
    logits = np.concatenate([part[0] for part in parts])[: len(images)]
    stuck = {
        name: np.concatenate([part[1][name] for part in parts])[: len(images)]
        for name in parts[0][1]
    }
    if not np.all(np.isfinite(logits)):
        bad = int((~np.isfinite(logits)).any(axis=1).sum())
        raise InputError(
            f"expected finite logits, got NaN or infinity for {bad} of {len(images)} images; "
            "did the training diverge?"
        )
    if logits.min() >= 0 and np.allclose(logits.sum(axis=1), 1.0, atol=1e-3):
        raise InputError(
            "expected logits, got rows of probabilities that sum to 1: pass the network without "
            "its softmax, or sizes would be measured through its flat ends"
        )
    right = logits.argmax(axis=1) == labels
    return logits, {name: flags & right for name, flags in stuck.items()}
