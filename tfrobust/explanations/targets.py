"""The class that is explained, and how sure the network is of it: what all methods share."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from tfrobust.core.batching import in_batches
from tfrobust.core.classifier import Classifier, Model, logits_of
from tfrobust.core.criteria import cross_entropy
from tfrobust.core.door import as_classifier
from tfrobust.core.images import arrays, checked_images, checked_targets
from tfrobust.core.input_range import Range

RIVALS_BATCH = 32


class Question(NamedTuple):
    """What is to be explained, checked.

    Args:
        network: the classifier.
        images: float32 (N, H, W, C) in [0, 1]; N may be 0.
        targets: int32 (N,), the class to explain; −1 for the predicted.
    """

    network: Classifier
    images: np.ndarray
    targets: np.ndarray


def question(
    model: Model, images: Any, targets: Any = None, input_range: Range | None = None
) -> Question:
    """Checks what is to be explained.

    Args:
        model: what `as_classifier` takes.
        images: float (N, H, W, C) in [0, 1] or uint8, N may be 0; or a tf.data.Dataset of images,
            or of images and labels.
        targets: int (N,) or a single int; None or −1 for the predicted class.
        input_range: as for `as_classifier`.

    Raises:
        InputError: says what was expected and what came.
    """
    network = as_classifier(model, input_range=input_range)
    images = checked_images(arrays(images)[0], network)
    num_classes = network.check(images) if len(images) else network.num_classes
    return Question(network, images, checked_targets(targets, len(images), num_classes))


def by_batches(function: Callable[..., Any], batch_size: int, *arrays: np.ndarray) -> Any:
    """`in_batches`, but a single image makes a batch of its own: it needs no copies of itself."""
    return in_batches(function, 1 if len(arrays[0]) == 1 else batch_size, *arrays)


def resolved(targets: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """The targets int32 (B,), the predicted classes in the place of −1."""
    predicted = tf.argmax(logits, axis=-1, output_type=tf.int32)
    return tf.where(targets < 0, predicted, targets)


def confidence(logits: tf.Tensor, classes: tf.Tensor) -> tf.Tensor:
    """The softmax of one class per image: logits (B, K), int (B,) → (B,)."""
    return tf.exp(-cross_entropy(logits, classes))


def rivals(model: Model, images: Any, classes: Any = None) -> np.ndarray:
    """The most likely class other than a given one.

    Args:
        model: what `as_classifier` takes.
        images: float (N, H, W, C) in [0, 1].
        classes: int (N,) or a single int; None or −1 for the predicted class.

    Returns:
        int32 (N,).

    Raises:
        InputError: images outside [0, 1], or a class that the network does not know.
    """
    network, images, targets = question(model, images, classes)
    if not len(images):
        return np.zeros(0, np.int32)
    others = logits_of(network, images, 1 if len(images) == 1 else RIVALS_BATCH)
    given = np.where(targets < 0, others.argmax(axis=-1), targets)
    np.put_along_axis(others, given[:, None], -np.inf, axis=-1)
    return others.argmax(axis=-1).astype(np.int32)
