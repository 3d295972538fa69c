"""Sources too large for memory: encoded images are read and decoded as they are needed."""

from abc import abstractmethod

import tensorflow as tf

from tfrobust.datasets.augment import augment, flip
from tfrobust.datasets.source import DataSource, step_seed, to_floats


class StreamedSource(DataSource):
    """A data set whose images are decoded one by one, in parallel.

    A record is what is read before decoding: a file's bytes or its path, a string tensor ().
    """

    @abstractmethod
    def _training_records(
        self, seed: int, first_epoch: int, skip: int, per_epoch: int
    ) -> tf.data.Dataset:
        """Endless training records, the order of each epoch a function of (seed, epoch).

        Args:
            seed: of the order.
            first_epoch: the epoch to begin with.
            skip: how many records of that epoch to leave out.
            per_epoch: records an epoch; what the epoch has beyond them is left out.

        Returns:
            Elements (record string (), label int32 ()).
        """

    @abstractmethod
    def _test_records(self) -> tf.data.Dataset:
        """All test records in stored order: (record string (), label int32 ())."""

    @abstractmethod
    def _whole_image(self, record: tf.Tensor) -> tf.Tensor:
        """Decodes a record to uint8 (H, W, C) as for testing, without randomness."""

    @abstractmethod
    def _random_part(self, record: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """Decodes a random window of a record to uint8 (H, W, C)."""

    def _training_batches(
        self,
        batch_size: int,
        seed: int,
        augmentation: str,
        start_step: int,
        rows: tuple[int, int],
    ) -> tf.data.Dataset:
        steps = self.steps_per_epoch(batch_size)
        epoch, step_in_epoch = divmod(start_step, steps)
        records = self._training_records(
            seed, epoch, step_in_epoch * batch_size, steps * batch_size
        )

        def decode(
            position: tf.Tensor, record: tuple[tf.Tensor, tf.Tensor]
        ) -> tuple[tf.Tensor, tf.Tensor]:
            encoded, label = record

            def image() -> tf.Tensor:
                if augmentation == "imagenet":
                    return self._random_part(encoded, step_seed(seed, position))
                return self._whole_image(encoded)

            if rows == (0, batch_size):
                return tf.ensure_shape(image(), self.info.image_shape), label
            row = position % batch_size
            decoded = tf.cond(
                (row >= rows[0]) & (row < rows[1]),
                image,
                lambda: tf.zeros(self.info.image_shape, tf.uint8),
            )
            return tf.ensure_shape(decoded, self.info.image_shape), label

        def change(
            step: tf.Tensor, batch: tuple[tf.Tensor, tf.Tensor]
        ) -> tuple[tf.Tensor, tf.Tensor]:
            images, labels = batch
            if augmentation == "imagenet":
                images = flip(images, step_seed(seed, step))
            else:
                images = augment(images, augmentation, step_seed(seed, step))
            return to_floats(images, labels)

        examples = records.enumerate(start_step * batch_size).map(
            decode, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True
        )
        batches = examples.batch(batch_size, drop_remainder=True)
        return batches.enumerate(start_step).map(change)

    def _test_examples(self) -> tf.data.Dataset:
        def decode(record: tf.Tensor, label: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            return tf.ensure_shape(self._whole_image(record), self.info.image_shape), label

        return self._test_records().map(
            decode, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True
        )
