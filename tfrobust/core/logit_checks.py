"""Whether a network gives logits and a gradient, found out on two images before the long work."""

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from tfrobust.errors import InputError, reason_of

NUMPY = ". If it takes NumPy arrays, wrap it as tfrobust.attacks.Opaque"


def ask(
    network: Callable[[tf.Tensor], Any],
    images: np.ndarray,
    *,
    name: str,
    has_gradient: bool,
    needs_gradient: bool,
) -> int:
    """Asks a network about two images.

    Args:
        network: what is asked.
        images: float32 (N, H, W, C) in [0, 1], N at least 1. The first and the last are taken.
        name: what errors call the network.
        has_gradient: whether TensorFlow is said to be able to look into it.
        needs_gradient: whether such a network must have a gradient.

    Returns:
        K, the number of classes.

    Raises:
        InputError: the network does not take these images, does not give finite logits (B, K), or
            should have a gradient and has none.
    """
    # Always two images, because TensorFlow 2.21 crashes on some CPUs where it derives a 1×1
    # convolution with stride 2 of one image (Conv2DBackpropFilter by oneDNN, uncompiled).
    pair = tf.constant(images[[0, -1]], tf.float32)
    try:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(pair)
            logits = network(pair)
    except InputError:
        raise
    except Exception as error:  # a stranger's network may raise anything
        advice = NUMPY if has_gradient else ""
        raise InputError(
            f"expected a network that takes a tensor of images of shape {images.shape[1:]}, "
            f"but {name} raised {type(error).__name__}: {reason_of(error)}{advice}"
        ) from error
    shape = getattr(logits, "shape", None)
    if shape is None or len(shape) != 2 or shape[0] != 2 or shape[1] < 2:
        got = type(logits).__name__ if shape is None else f"shape {tuple(shape)} for two images"
        raise InputError(
            f"expected a network that gives logits (B, K) of at least 2 classes, got {got}"
        )
    found = tf.is_tensor(logits)
    if found and needs_gradient:
        found = tape.gradient(logits, pair) is not None
    if has_gradient and not found:
        raise InputError(
            "expected a network whose logits have a gradient with respect to the images in "
            f"TensorFlow, got one without, {name}: attacks cannot search through NumPy, "
            "ONNX or rounding. Let the gradient pass quantised images, "
            "x + tf.stop_gradient(tf.round(x) - x), or wrap the network as "
            "tfrobust.attacks.Opaque and attack it without gradients"
        )
    check_logits(np.asarray(tf.cast(logits, tf.float32)))
    return int(shape[1])


def check_logits(logits: np.ndarray) -> None:
    """Refuses answers that are no logits.

    Args:
        logits: float32 (N, K).

    Raises:
        InputError: they are not finite.
    """
    if not np.all(np.isfinite(logits)):
        bad = int((~np.isfinite(logits)).any(axis=1).sum())
        raise InputError(
            f"expected finite logits, got NaN or infinity for {bad} of {len(logits)} images; "
            "did the training diverge?"
        )
