"""A folder of pictures that is too large for memory. Files are read as they are needed."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from tfrobust.datasets.augment import cut, random_window, resize
from tfrobust.datasets.folder_scan import Picture
from tfrobust.datasets.headers import PictureError
from tfrobust.datasets.pictures import read
from tfrobust.datasets.resizing import fit
from tfrobust.datasets.source import DatasetInfo
from tfrobust.datasets.streamed import StreamedSource


class FileSource(StreamedSource):
    """A folder that is too large for memory. A record is a file's path.

    Args:
        info: what the data set is.
        train: the pictures to train on.
        test: the pictures to test on, in the order in which to give them.
        skipped: the names of files that are left out.
    """

    def __init__(
        self,
        info: DatasetInfo,
        train: Sequence[Picture],
        test: Sequence[Picture],
        skipped: tuple[str, ...],
    ) -> None:
        super().__init__(info, skipped)
        self._train = _columns(train)
        self._test = _columns(test)

    def _training_records(
        self, seed: int, first_epoch: int, skip: int, per_epoch: int
    ) -> tf.data.Dataset:
        paths, labels = self._train
        last = self.info.train_images - 1

        def record(number: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            order_seed = tf.stack([tf.constant(seed, tf.int64), number // per_epoch])
            index = tf.random.experimental.index_shuffle(number % per_epoch, order_seed, last)
            return paths[index], labels[index]

        return tf.data.Dataset.range(first_epoch * per_epoch + skip, tf.int64.max).map(record)

    def _test_records(self) -> tf.data.Dataset:
        return tf.data.Dataset.from_tensor_slices(self._test)

    def _whole_image(self, record: tf.Tensor) -> tf.Tensor:
        shape = self.info.image_shape

        def read_fitted(path: bytes) -> np.ndarray:
            return fit(_read_now(path, shape[2]), shape[:2])

        return tf.numpy_function(read_fitted, [record], tf.uint8, stateful=False)

    def _random_part(self, record: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        height, width, channels = self.info.image_shape

        def read_whole(path: bytes) -> np.ndarray:
            return _read_now(path, channels)

        image = tf.numpy_function(read_whole, [record], tf.uint8, stateful=False)
        image = tf.ensure_shape(image, (None, None, channels))
        window = random_window(tf.shape(image)[0], tf.shape(image)[1], seed)
        return resize(cut(image, window), (height, width))


def _read_now(path: bytes, channels: int) -> np.ndarray:
    try:
        return read(Path(os.fsdecode(path)), channels)
    except PictureError as error:
        raise OSError(f"{os.fsdecode(path)} can no longer be read: {error}") from error


def _columns(pictures: Sequence[Picture]) -> tuple[tf.Tensor, tf.Tensor]:
    with tf.device("CPU:0"):
        paths = tf.constant([os.fsencode(picture.path) for picture in pictures])
        return paths, tf.constant([picture.label for picture in pictures], tf.int32)
