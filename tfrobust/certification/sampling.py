"""What the estimates from random draws share: their seeds, their portions and their checks."""

from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from tfrobust.core.classifier import Classifier, Model, as_classifier
from tfrobust.core.images import checked_images, checked_labels
from tfrobust.errors import InputError

# Draws of one image computed at a time: small images fill a portion of 100 well, large ones must
# fit into memory.
MOST_DRAWS, MOST_VALUES = 100, 1_500_000


def portion(shape: tuple[int, ...]) -> int:
    """How many draws of an image are computed at a time.

    It depends on nothing but the image's shape: a portion is one call of the generator, so that
    another size would give other draws.

    Args:
        shape: (H, W, C).
    """
    return max(1, min(MOST_DRAWS, MOST_VALUES // int(np.prod(shape))))


def draw_seed(seed: int, use: int, number: int, index: int) -> tf.Tensor:
    """The generator's seed for one portion of draws.

    Args:
        seed: the user's, 0 or above.
        use: what the draws are for; other uses get other draws.
        number: which image of its data set it is, 0 or above.
        index: which of the image's portions.

    Returns:
        int64 (2,), as stateless generators take it.
    """
    state = np.random.SeedSequence([seed, use, number, index]).generate_state(2, np.uint64)
    return tf.constant(state.view(np.int64))


def noise(shape: tuple[int, ...], seed: tf.Tensor) -> tf.Tensor:
    """Standard normal numbers, the same ones on CPU and GPU but for rounding.

    Args:
        shape: of the result.
        seed: int64 (2,).

    Returns:
        float32, of that shape.
    """
    return tf.random.stateless_normal(shape, seed, dtype=tf.float32, alg="philox")


class Inputs(NamedTuple):
    """What is estimated, checked.

    Args:
        network: the classifier.
        images: float32 (N, H, W, C) in [0, 1], N at least 1.
        labels: int32 (N,), from 0 to K − 1.
        numbers: int64 (N,), which image of its data set each is.
        num_classes: K.
    """

    network: Classifier
    images: np.ndarray
    labels: np.ndarray
    numbers: np.ndarray
    num_classes: int


def checked_inputs(network: Model, images: Any, labels: Any, numbers: Any) -> Inputs:
    """Refuses what cannot be estimated, before the long work begins.

    Args:
        network: what `as_classifier` takes.
        images: float (N, H, W, C) in [0, 1], at least one.
        labels: int (N,), from 0 to K − 1.
        numbers: int (N,), 0 or above, which image of its data set each is; None for 0 to N − 1.

    Raises:
        InputError: says what was expected and what came.
    """
    network = as_classifier(network)
    images = checked_images(images, network, at_least_one=True)
    labels = checked_labels(labels, len(images))
    num_classes = network.check(images)
    labels = checked_labels(labels, len(images), num_classes)
    numbers = np.arange(len(images)) if numbers is None else np.asarray(numbers)
    if (
        numbers.shape != labels.shape
        or not np.issubdtype(numbers.dtype, np.integer)
        or numbers.min() < 0
    ):
        raise InputError(
            f"expected {len(images)} numbers of images, whole and from 0, got {numbers.dtype} of "
            f"shape {numbers.shape}"
        )
    return Inputs(network, images, labels, numbers.astype(np.int64), num_classes)
