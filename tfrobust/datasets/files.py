"""A folder of pictures that is too large for memory. Files are read as they are needed."""

import dataclasses
import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from tfrobust.datasets.augment import cut, random_window, resize
from tfrobust.datasets.folder_layout import Split
from tfrobust.datasets.folder_scan import Picture, shown
from tfrobust.datasets.headers import PictureError
from tfrobust.datasets.info import DatasetInfo
from tfrobust.datasets.left_out import LeftOut
from tfrobust.datasets.pictures import read
from tfrobust.datasets.resizing import fit
from tfrobust.datasets.stream import Stream, order_of
from tfrobust.datasets.streamed import StreamedSource
from tfrobust.errors import InputError


class FileSource(StreamedSource):
    """A folder that is too large for memory. A record is a file's path.

    A file that turns out to be broken is left out, named and counted. In training the next readable
    picture of its class takes its place, so that batches stay full and the same for the same files;
    in testing nothing does.

    Args:
        info: what the data set is. What is left out is added to its `provenance`.
        root: the user's folder.
        parts: the pictures to train and to test on, and perhaps those for validation, in order.
        left_out: what is left out already.
    """

    # Which files are broken shows only when they are read.
    _count_is_known = False

    def __init__(
        self,
        info: DatasetInfo,
        root: Path,
        parts: Mapping[Split, Sequence[Picture]],
        left_out: LeftOut,
    ) -> None:
        self._told, self._root, self._left_out = info.provenance, root, left_out
        super().__init__(info)
        self._train = _columns(parts.get("train", ()))
        self._own_weights = own_weights(parts.get("train", ()))
        self._test = _columns(parts["test"])
        if "validation" in parts:
            pictures = parts["validation"]
            self.validation = FileSource(
                info.of_validation(len(pictures)), root, {"test": pictures}, left_out
            )

    @property
    def info(self) -> DatasetInfo:
        """What the data set is, and what is left out by now."""
        provenance = f"{self._told}; {self._left_out}"
        return dataclasses.replace(self._info, provenance=provenance)

    @info.setter
    def info(self, info: DatasetInfo) -> None:
        self._info = info

    @property
    def skipped(self) -> tuple[str, ...]:
        """The names of files that could not be read by now and are left out."""
        return self._left_out.names

    def _training_labels(self) -> np.ndarray:
        return self._train[1].numpy()

    def _training_records(
        self, stream: Stream, first_epoch: int, skip: int, per_epoch: int
    ) -> tf.data.Dataset:
        order = order_of(stream, self._training_labels())
        columns = [*self._train]
        if stream.weights is not None:
            columns.append(tf.constant(stream.weights))

        def record(number: tf.Tensor) -> tuple[tf.Tensor, ...]:
            index = order(number % per_epoch, number // per_epoch)
            return tuple(column[index] for column in columns)

        return tf.data.Dataset.range(first_epoch * per_epoch + skip, tf.int64.max).map(record)

    def _test_records(self) -> tf.data.Dataset:
        return tf.data.Dataset.from_tensor_slices(self._test)

    def _test_examples(self, rows: np.ndarray | None) -> tf.data.Dataset:
        shape = self.info.image_shape

        def read_or_not(path: bytes) -> tuple[np.ndarray, bool]:
            image = self._read_file(path)
            if image is None:
                return np.zeros(shape, np.uint8), False
            return fit(image, shape[:2], self._info.fit), True

        def decode(row: tf.Tensor, path: tf.Tensor, label: tf.Tensor) -> tuple[tf.Tensor, ...]:
            image, is_read = tf.numpy_function(read_or_not, [path], (tf.uint8, tf.bool))
            return row, tf.ensure_shape(image, shape), label, tf.ensure_shape(is_read, ())

        examples = self._numbered_records(rows).map(
            decode, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True
        )
        read = examples.filter(lambda *example: example[-1])
        return read.map(lambda *example: example[:-1])

    def _whole_image(self, record: tf.Tensor) -> tf.Tensor:
        shape = self.info.image_shape

        def read_fitted(path: bytes) -> np.ndarray:
            return fit(self._read_or_next(path), shape[:2], self._info.fit)

        return tf.numpy_function(read_fitted, [record], tf.uint8, stateful=False)

    def _random_part(self, record: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        height, width, channels = self.info.image_shape
        image = tf.numpy_function(self._read_or_next, [record], tf.uint8, stateful=False)
        image = tf.ensure_shape(image, (None, None, channels))
        window = random_window(tf.shape(image)[0], tf.shape(image)[1], seed)
        return resize(cut(image, window), (height, width))

    def _read_file(self, path: bytes) -> np.ndarray | None:
        """A picture; None if it cannot be read, which is then left out."""
        file = os.fsdecode(path)
        try:
            return read(
                Path(file), self._info.image_shape[2], bits=self._info.bits, frame=self._info.frame
            )
        except PictureError as error:
            name = shown(os.path.relpath(file, self._root))
            if self._left_out.add(name, str(error)):
                logging.getLogger(__name__).warning("%s is left out: %s", name, error)
            return None

    def _read_or_next(self, path: bytes) -> np.ndarray:
        """A picture to train on, or else the next one of its class that can be read."""
        image = self._read_file(path)
        if image is not None:
            return image
        paths, labels = (column.numpy() for column in self._train)
        place = int(np.flatnonzero(paths == path)[0])
        same = labels == labels[place]
        own = np.flatnonzero(same if same.ndim == 1 else same.all(1))
        for other in np.roll(own, -1 - int(np.searchsorted(own, place))):
            image = self._read_file(paths[other])
            if image is not None:
                return image
        held = [labels[place]] if labels.ndim == 1 else np.flatnonzero(labels[place])
        name = ", ".join(self._info.class_names[label] for label in held)
        raise OSError(f"no training image of the class {name!r} can be read any more")


def own_weights(pictures: Sequence[Picture]) -> np.ndarray | None:
    """The weights of pictures, float (N,); None if they are equal.

    Raises:
        InputError: all are 0.
    """
    found = np.array([picture.weight for picture in pictures])
    if len(found) and not found.any():
        raise InputError("expected a weight above 0 for some image to train on, got 0 for all")
    return found if len(set(found)) > 1 else None


def _columns(pictures: Sequence[Picture]) -> tuple[tf.Tensor, tf.Tensor]:
    with tf.device("CPU:0"):
        paths = tf.constant([os.fsencode(picture.file) for picture in pictures], tf.string)
        return paths, tf.constant([picture.label for picture in pictures], tf.int32)
