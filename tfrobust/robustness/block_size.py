"""How many images are attacked at a time: on a GPU as many as its memory holds, found by trial."""

import math
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from tfrobust.attacks import LinearizedMargin
from tfrobust.core.bounds import Bounds
from tfrobust.core.classifier import Classifier
from tfrobust.errors import InputError

# On a CPU a block has at most 50 images, and fewer if they are so large that memory would run out.
MOST_IMAGES, MOST_VALUES = 50, 1_500_000
# On a GPU a trial begins with so many. More would make it no faster.
MOST_ON_GPU, MOST_VALUES_ON_GPU = 1000, 50_000_000
# Blocks are no larger than lets processes and devices share the images, and keeps what is done.
BLOCKS = 16
# What a device says whose memory is full, also by XLA and cuDNN.
FULL = (tf.errors.ResourceExhaustedError, tf.errors.InternalError, tf.errors.UnknownError)
# The share of what fits that is taken: the attacks keep several perturbations beside the network.
TAKEN = 3 / 4


def batch_size_of(
    count: int, values: int, *, most_images: int = MOST_IMAGES, most_values: int = MOST_VALUES
) -> int:
    """How many images are attacked at a time.

    Args:
        count: of images, at least 1. Batches have equal sizes, so that little of the last one is
            padding.
        values: of an image, H × W × C.
        most_images: of a batch.
        most_values: of a batch's images together.
    """
    most = max(1, min(most_images, most_values // values))
    return math.ceil(count / math.ceil(count / most))


def largest(fits: Callable[[int], bool], most: int) -> int:
    """Halves a number until it fits.

    Args:
        fits: says it of a number.
        most: the number to begin with.

    Raises:
        InputError: not even 1 fits.
    """
    while not fits(most):
        if most == 1:
            raise InputError(
                "expected memory for one image, its gradient and the network, but the device has "
                "none left. End what else uses it, or take a smaller network or smaller images"
            )
        most //= 2
    return most


def memory_is_full(error: BaseException) -> bool:
    """Whether an error means that a device's memory was full; a GPU has several words for it."""
    return isinstance(error, FULL if _has_gpu() else tf.errors.ResourceExhaustedError)


def _has_gpu() -> bool:
    return bool(tf.config.list_logical_devices("GPU"))


def block_size(network: Classifier, images: np.ndarray, bounds: Bounds | None = None) -> int:
    """How many of the images are attacked at a time on this machine.

    On a CPU their number and size say it. On a GPU a short attack is tried on many images, and
    on half as many whenever memory runs out. So it depends on the device, and on what else uses
    its memory; the images' results depend on it only by rounding.

    Args:
        network: what is attacked.
        images: float32 (N, H, W, C), at least one.
        bounds: of the attacks.

    Returns:
        A number from 1 to N.

    Raises:
        InputError: the device has no memory for a single image.
    """
    count, values, first = len(images), images[0].size, images[:1]
    if not (network.has_gradient and _has_gpu()):
        return batch_size_of(count, values)
    shared = max(MOST_IMAGES, math.ceil(count / BLOCKS))
    most = batch_size_of(
        count, values, most_images=min(MOST_ON_GPU, shared), most_values=MOST_VALUES_ON_GPU
    )

    def fits(size: int) -> bool:
        tried = math.ceil(size / TAKEN)
        trial = LinearizedMargin(steps=2, rivals=1, line_steps=1, bounds=bounds, batch_size=tried)
        try:
            # Copies of the image fill the block. It has the network's own answer as its label, as
            # an image that is misclassified already would not be searched.
            trial(network, first, np.argmax(network(tf.constant(first)), axis=-1))
        except FULL:
            return False
        return True

    return math.ceil(count / math.ceil(count / largest(fits, most)))
