"""Which batches of training images are wanted, and what all sources do to make them."""

import os
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from tfrobust.datasets.order import Order, balanced, shuffled


@dataclass(frozen=True, kw_only=True)
class Stream:
    """Which training batches are wanted; see `DataSource.train` for the fields.

    `weights`, float32 (N,), are those of the training images, where batches have them.
    """

    batch_size: int
    seed: int
    augmentation: str
    start_step: int
    rows: tuple[int, int]
    balance: str = "none"
    weights: np.ndarray | None = None


def order_of(stream: Stream, labels: np.ndarray) -> Order:
    """The order in which a stream shows images of these classes, int (N,)."""
    if stream.balance == "sampling":
        return balanced(stream.seed, labels)
    return shuffled(stream.seed, len(labels))


def step_seed(seed: int, step: tf.Tensor) -> tf.Tensor:
    """The seed of all that is random in one batch: int64 (2,)."""
    # An epoch's order is seeded by (seed, epoch). The offset keeps the two kinds of seeds apart.
    return tf.stack([tf.constant(seed + 2**32, tf.int64), tf.cast(step, tf.int64)])


def to_floats(images: tf.Tensor, *others: tf.Tensor) -> tuple[tf.Tensor, ...]:
    """Turns uint8 images of any shape into float32 in [0, 1]. Labels and weights stay."""
    return tf.cast(images, tf.float32) / 255, *others


def own_threads() -> tf.data.Options:
    """Threads for the images alone: a step that runs one operator at a time leaves them none."""
    options = tf.data.Options()
    options.threading.private_threadpool_size = os.cpu_count() or 1
    return options
