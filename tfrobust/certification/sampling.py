"""What the estimates from random draws share: their seeds, their portions and their checks."""

from typing import Any

import numpy as np
import tensorflow as tf

from tfrobust.core.images import check_images
from tfrobust.core.opaque import Model
from tfrobust.errors import InputError
from tfrobust.robustness.clean import count_classes

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


def check_inputs(
    network: Model, images: Any, labels: Any, numbers: Any
) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """Refuses what cannot be estimated, before the long work.

    Args:
        network: images (B, H, W, C) → logits (B, K).
        images: float (N, H, W, C) in [0, 1], at least one.
        labels: int (N,), from 0 to K − 1.
        numbers: int (N,), 0 or above, which image of its data set each is; None for 0 to N − 1.

    Returns:
        Images as float32, labels as int32, numbers as int64, and K.

    Raises:
        InputError: says what was expected and what came.
    """
    images, labels = np.asarray(images, np.float32), np.asarray(labels)
    if images.ndim != 4 or not images.size:
        raise InputError(
            f"expected at least one image, of shape (N, H, W, C), got shape {images.shape}"
        )
    check_images(images, labels, network)
    if not np.issubdtype(labels.dtype, np.integer):
        raise InputError(f"expected labels that are whole numbers, got {labels.dtype}")
    num_classes = count_classes(network, images)
    if labels.max() >= num_classes:
        raise InputError(
            f"expected labels below {num_classes}, the network's number of classes, got "
            f"{labels.max()}; is the network for other data?"
        )
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
    return images, labels.astype(np.int32), numbers.astype(np.int64), num_classes
