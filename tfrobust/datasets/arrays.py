"""Data sets that fit into memory. Batches are gathered and augmented as a whole."""

from collections.abc import Callable
from functools import cached_property

import numpy as np
import tensorflow as tf

from tfrobust.datasets.augment import augment
from tfrobust.datasets.info import DatasetInfo
from tfrobust.datasets.source import Arrays, DataSource
from tfrobust.datasets.stream import Stream, order_of, step_seed, to_floats


class ArraySource(DataSource):
    """A data set whose pixels fit into memory.

    Args:
        info: what the data set is.
        train: gives images uint8 (N, H, W, C) and labels int32 (N,). It is called at first use.
        test: likewise for the test images, in stored order.
        skipped: the names of files that are left out.
        weights: of the training images, float (N,); None if they are equal.
    """

    def __init__(
        self,
        info: DatasetInfo,
        train: Callable[[], Arrays],
        test: Callable[[], Arrays],
        skipped: tuple[str, ...] = (),
        weights: np.ndarray | None = None,
    ) -> None:
        super().__init__(info, skipped)
        self._own_weights = weights
        self._read_train = train
        self._read_test = test

    @cached_property
    def _train_tensors(self) -> tuple[tf.Tensor, tf.Tensor]:
        return _on_host(self._read_train())

    @cached_property
    def _test_tensors(self) -> tuple[tf.Tensor, tf.Tensor]:
        return _on_host(self._read_test())

    def _training_labels(self) -> np.ndarray:
        return self._train_tensors[1].numpy()

    def _training_batches(self, stream: Stream) -> tf.data.Dataset:
        images, labels = self._train_tensors
        order = order_of(stream, labels.numpy())
        columns = [labels] if stream.weights is None else [labels, tf.constant(stream.weights)]
        batch_size, seed = stream.batch_size, stream.seed
        steps = self.steps_per_epoch(batch_size)

        def batch(step: tf.Tensor) -> tuple[tf.Tensor, ...]:
            epoch, step_in_epoch = step // steps, step % steps
            positions = step_in_epoch * batch_size + tf.range(batch_size, dtype=tf.int64)
            indices = order(positions, epoch)
            chosen = augment(tf.gather(images, indices), stream.augmentation, step_seed(seed, step))
            return to_floats(chosen, *(tf.gather(column, indices) for column in columns))

        return tf.data.Dataset.range(stream.start_step, tf.int64.max).map(
            batch, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True
        )

    def _test_labels(self) -> np.ndarray:
        return self._test_tensors[1].numpy()

    def _test_examples(self, rows: np.ndarray | None) -> tf.data.Dataset:
        images, labels = self._test_tensors
        wanted = np.arange(len(labels)) if rows is None else rows
        examples = tf.data.Dataset.from_tensor_slices(wanted)
        return examples.map(lambda row: (row, images[row], labels[row]))


def _on_host(arrays: Arrays) -> tuple[tf.Tensor, tf.Tensor]:
    # Without this, TensorFlow would put the whole set into a GPU's memory.
    with tf.device("CPU:0"):
        return tf.constant(arrays[0], tf.uint8), tf.constant(arrays[1], tf.int32)
