"""Data sets too large for memory. Images are read and decoded as they are needed."""

from abc import abstractmethod

import numpy as np
import tensorflow as tf

from tfrobust.datasets.augment import augment, flip
from tfrobust.datasets.source import DataSource
from tfrobust.datasets.stream import Stream, step_seed, to_floats


class StreamedSource(DataSource):
    """A data set whose images are decoded one by one, in parallel.

    A record is what an image is decoded from: a string tensor () with a file's bytes or its path.
    """

    @abstractmethod
    def _training_records(
        self, stream: Stream, first_epoch: int, skip: int, per_epoch: int
    ) -> tf.data.Dataset:
        """Endless training records. The order of an epoch is a function of seed and epoch.

        Args:
            stream: its seed, balance and weights.
            first_epoch: the epoch to begin with.
            skip: how many records of that epoch to leave out.
            per_epoch: how many records of an epoch to give.

        Returns:
            Elements of a record, string (), its label, int32 () or (K,), and its weight, float32
            (), if the stream has weights.
        """

    @abstractmethod
    def _test_records(self) -> tf.data.Dataset:
        """All test records, string (), with their labels, int32 (), in stored order."""

    @abstractmethod
    def _whole_image(self, record: tf.Tensor) -> tf.Tensor:
        """Decodes a record to uint8 (H, W, C), without randomness."""

    @abstractmethod
    def _random_part(self, record: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """Decodes a random window of a record to uint8 (H, W, C)."""

    def _training_batches(self, stream: Stream) -> tf.data.Dataset:
        batch_size, seed, rows = stream.batch_size, stream.seed, stream.rows
        is_imagenet = stream.augmentation == "imagenet"
        steps = self.steps_per_epoch(batch_size)
        epoch, step_in_epoch = divmod(stream.start_step, steps)
        records = self._training_records(
            stream, epoch, step_in_epoch * batch_size, steps * batch_size
        )

        def decode(position: tf.Tensor, record: tuple[tf.Tensor, ...]) -> tuple[tf.Tensor, ...]:
            encoded, *columns = record

            def image() -> tf.Tensor:
                if is_imagenet:
                    return self._random_part(encoded, step_seed(seed, position))
                return self._whole_image(encoded)

            if rows == (0, batch_size):
                return tf.ensure_shape(image(), self.info.image_shape), *columns
            row = position % batch_size
            decoded = tf.cond(
                (row >= rows[0]) & (row < rows[1]),
                image,
                lambda: tf.zeros(self.info.image_shape, tf.uint8),
            )
            return tf.ensure_shape(decoded, self.info.image_shape), *columns

        def change(step: tf.Tensor, batch: tuple[tf.Tensor, ...]) -> tuple[tf.Tensor, ...]:
            images, *columns = batch
            if is_imagenet:
                images = flip(images, step_seed(seed, step))
            else:
                images = augment(images, stream.augmentation, step_seed(seed, step))
            return to_floats(images, *columns)

        examples = records.enumerate(stream.start_step * batch_size).map(
            decode, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True
        )
        batches = examples.batch(batch_size, drop_remainder=True)
        return batches.enumerate(stream.start_step).map(change)

    def _test_labels(self) -> np.ndarray:
        labels = self._test_records().map(lambda record, label: label).batch(1024)
        return np.concatenate(list(labels.as_numpy_iterator()))

    def _numbered_records(self, rows: np.ndarray | None) -> tf.data.Dataset:
        """The test records with their rows, int64 (): all, or these alone."""
        records = self._test_records().enumerate()
        if rows is not None:
            wanted = np.zeros(rows[-1] + 1, bool)
            wanted[rows] = True
            is_wanted = tf.constant(wanted)
            records = records.take(len(wanted)).filter(lambda row, _: is_wanted[row])
        return records.map(lambda row, record: (row, *record))

    def _test_examples(self, rows: np.ndarray | None) -> tf.data.Dataset:
        def decode(row: tf.Tensor, record: tf.Tensor, label: tf.Tensor) -> tuple[tf.Tensor, ...]:
            return row, tf.ensure_shape(self._whole_image(record), self.info.image_shape), label

        return self._numbered_records(rows).map(
            decode, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True
        )
