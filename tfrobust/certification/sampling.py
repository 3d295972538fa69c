"""Random draws around images: their seeds, how many are computed at a time, and what is checked."""

import enum
import functools
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from tfrobust.core.classifier import Classifier, Model, logits_of
from tfrobust.core.door import as_classifier
from tfrobust.core.images import arrays, checked_images, checked_labels
from tfrobust.core.input_range import check_range
from tfrobust.errors import InputError

# So many draws of one image are computed at a time, or fewer if the image is so large that memory
# would run out.
MOST_DRAWS, MOST_VALUES = 100, 1_500_000


class Use(enum.IntEnum):
    """What draws are for. Each use has draws of its own; a new number would change them."""

    CHOOSE = 0
    ESTIMATE = 1
    JUDGE = 2
    ATTACK = 3
    DIRECTIONS = 10
    LENGTHS = 11


def portion(shape: tuple[int, ...]) -> int:
    """How many draws of an image are computed at a time.

    Each portion is one call of the random generator, so its size decides which numbers are drawn.
    It depends on the image's shape alone.

    Args:
        shape: (H, W, C).
    """
    return max(1, min(MOST_DRAWS, MOST_VALUES // int(np.prod(shape))))


def draw_seed(seed: int, use: Use, number: int, index: int) -> tf.Tensor:
    """The random generator's seed for one portion of draws.

    Args:
        seed: the user's seed, 0 or above.
        use: what the draws are for.
        number: which image of its data set it is, 0 or above.
        index: which of the image's portions it is.

    Returns:
        int64 (2,), as TensorFlow's stateless generators take it.
    """
    entropy = [seed, int(use), number, index]
    state = np.random.SeedSequence(entropy).generate_state(2, np.uint64)
    return tf.constant(state.view(np.int64))


def noise(shape: tuple[int, ...], seed: tf.Tensor) -> tf.Tensor:
    """Standard normal numbers. A CPU and a GPU draw the same ones, except for rounding.

    Args:
        shape: the shape of the result.
        seed: int64 (2,).

    Returns:
        float32, of this shape.
    """
    return tf.random.stateless_normal(shape, seed, dtype=tf.float32, alg="philox")


class Inputs(NamedTuple):
    """Checked input.

    Args:
        network: the classifier.
        images: float32 (N, H, W, C) in [0, 1], N at least 1.
        labels: int32 (N,), from 0 to K − 1.
        numbers: int64 (N,), which image of its data set each one is.
        num_classes: K.
    """

    network: Classifier
    images: np.ndarray
    labels: np.ndarray
    numbers: np.ndarray
    num_classes: int


def checked_inputs(network: Model, images: Any, labels: Any, numbers: Any) -> Inputs:
    """Refuses input that nothing can be computed from, before the long work begins.

    Args:
        network: what `as_classifier` takes.
        images: float (N, H, W, C) in [0, 1] or uint8, at least one; or a tf.data.Dataset of pairs
            of images and labels.
        labels: int (N,), from 0 to K − 1; None beside a data set.
        numbers: int (N,), 0 or above, which image of its data set each one is; None for 0 to
            N − 1.

    Raises:
        InputError: says what was expected and what came.
    """
    network = as_classifier(network)
    images, labels = arrays(images, labels)
    images = checked_images(images, network, at_least_one=True)
    labels = checked_labels(labels, len(images))
    num_classes = network.check(images)
    labels = checked_labels(labels, len(images), num_classes)
    if network.input_range is None:
        ask = functools.partial(logits_of, network, batch_size=portion(images.shape[1:]))
        check_range(ask, images, labels, network.name)
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
