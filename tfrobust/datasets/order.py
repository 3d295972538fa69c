"""In which order an epoch shows the training images, and how much each of them weighs.

An order is a function of seed, epoch and position, so that a stream can be opened anywhere.
"""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

Order = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]


def shuffled(seed: int, count: int) -> Order:
    """An order in which each epoch shows each image once.

    Args:
        seed: of the order.
        count: of the images, N.

    Returns:
        A function of positions int64 () or (B,), from 0 to N − 1, and the epoch int64 (). It gives
        numbers of images, int64, in the positions' shape.
    """

    def order(position: tf.Tensor, epoch: tf.Tensor) -> tf.Tensor:
        order_seed = tf.stack([tf.constant(seed, tf.int64), epoch])
        return tf.random.experimental.index_shuffle(position, order_seed, count - 1)

    return order


def balanced(seed: int, labels: np.ndarray) -> Order:
    """An order in which each epoch shows each class equally often.

    The images of a class take turns: all are shown before one is shown again, save for one or two
    where an epoch ends.

    Args:
        seed: of the order.
        labels: the class of each image, int (N,). Classes without an image are passed over.

    Returns:
        A function as that of `shuffled`.
    """
    sizes = np.bincount(labels)
    sizes = sizes[sizes > 0]
    total, number = len(labels), len(sizes)
    with tf.device("CPU:0"):
        by_class = tf.constant(np.argsort(labels, kind="stable"), tf.int64)
        begins = tf.constant(np.cumsum(sizes) - sizes, tf.int64)
        counts = tf.constant(sizes, tf.int64)
        # The offset keeps these seeds apart from those of epochs and of steps.
        seed_of_all = tf.constant(seed + 2**33, tf.int64)
    slots = shuffled(seed, total)

    def order(position: tf.Tensor, epoch: tf.Tensor) -> tf.Tensor:
        slot = slots(position, epoch)
        label = slot % number
        count = tf.gather(counts, label)
        turn = epoch * -(-total // number) + slot // number
        own_seed = tf.stack([tf.fill(tf.shape(label), seed_of_all), turn // count, label], axis=-1)
        # `tf.random.experimental.index_shuffle` does not take a seed for each position.
        place = tf.raw_ops.RandomIndexShuffle(
            index=turn % count, seed=own_seed, max_index=count - 1, rounds=4
        )
        return tf.gather(by_class, tf.gather(begins, label) + place)

    return order


def image_weights(count: int, own: np.ndarray | None, labels: np.ndarray | None) -> np.ndarray:
    """What each training image weighs in the loss: 1 on average.

    Args:
        count: of the images, N.
        own: the images' own weights (N,); None for equal ones.
        labels: int (N,), where all classes are to weigh the same together; None where not.

    Returns:
        float32 (N,).
    """
    found = np.ones(count) if own is None else np.asarray(own, np.float64)
    if labels is not None:
        total = np.bincount(labels, found)[labels]
        found = np.divide(found, total, out=np.zeros(count), where=total > 0)
    return (found * (count / found.sum())).astype(np.float32)
