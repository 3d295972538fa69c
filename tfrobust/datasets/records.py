"""The records of images and labels that TensorFlow Datasets keeps on disk, and their data set.

The files are read here and not by `builder.as_dataset`: an epoch's order must depend on seed and
epoch alone, but tf.data's shuffle also depends on TensorFlow's global seed.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import tensorflow as tf

from tfrobust.datasets.augment import central_window, crop_of_jpeg, cut, random_window, resize
from tfrobust.datasets.info import DatasetInfo
from tfrobust.datasets.several_labels import SeveralLabels
from tfrobust.datasets.source import Arrays
from tfrobust.datasets.stream import Stream
from tfrobust.datasets.streamed import StreamedSource

PARALLEL_FILES = 16
SHUFFLE_BYTES = 256 * 2**20
CENTRAL_FRACTION = 0.875
LOOKED_AT = 100  # images of which some has a label, if they have any
READ_BUFFER = 8 * 2**20


@dataclass(frozen=True)
class Records:
    """One split on disk.

    Args:
        paths: its files.
        skips: how many examples to leave out at the start of each file.
        takes: how many examples of each file to take after that; −1 for all.
        count: the number of examples in all.
        mean_bytes: the mean size of an example.
        image_key: the name of the feature with the encoded image.
        label: the name of the feature with the class; or where the labels of an image are, if it
            may have several.
    """

    paths: tuple[str, ...]
    skips: tuple[int, ...]
    takes: tuple[int, ...]
    count: int
    mean_bytes: int
    image_key: str
    label: str | SeveralLabels

    @classmethod
    def of_split(
        cls, splits: Any, name: str, image_key: str, label: str | SeveralLabels
    ) -> "Records":
        """Finds the records of a split of TensorFlow Datasets.

        Args:
            splits: the builder's info.splits.
            name: a whole split such as "test", or a slice such as "train[:80%]".
            image_key: the name of the image feature.
            label: as the field of this name.

        Returns:
            The split's records.
        """
        split, whole = splits[name], splits[name.split("[")[0]]
        parts = split.file_instructions
        return cls(
            paths=tuple(str(part.filename) for part in parts),
            skips=tuple(part.skip for part in parts),
            takes=tuple(part.take for part in parts),
            count=split.num_examples,
            # A slice does not know its bytes, so the mean is taken over the whole split.
            mean_bytes=max(int(whole.num_bytes) // max(whole.num_examples, 1), 1),
            image_key=image_key,
            label=label,
        )

    def head(self, count: int) -> "Records":
        """The first `count` examples, or those of the first file if it has fewer."""
        take = min(count, self.count if self.takes[0] < 0 else self.takes[0])
        return replace(self, paths=self.paths[:1], skips=self.skips[:1], takes=(take,), count=take)

    def in_order(self) -> tf.data.Dataset:
        """Encoded examples, string (), in stored order."""
        return self._parts(tf.range(len(self.paths))).flat_map(_read_part)

    def parse(self, example: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Splits an encoded example, string (), into the image's bytes and its label.

        The label is a class, int32 (), or 0 or 1 for each of several labels, int32 (K,).
        """
        image = tf.io.FixedLenFeature((), tf.string)
        if isinstance(self.label, SeveralLabels):
            several = tf.io.FixedLenSequenceFeature((), tf.int64, allow_missing=True)
            features = {self.image_key: image, self.label.key: several}
            parsed = tf.io.parse_single_example(example, features)
            return parsed[self.image_key], self.label.vector(parsed[self.label.key])
        features = {self.image_key: image, self.label: tf.io.FixedLenFeature((), tf.int64)}
        parsed = tf.io.parse_single_example(example, features)
        return parsed[self.image_key], tf.cast(parsed[self.label], tf.int32)

    def first(self) -> bytes:
        """The bytes of the first image; without examples, b""."""
        for image, _ in self.in_order().map(self.parse).take(1):
            return bytes(image.numpy())
        return b""

    def is_labelled(self) -> bool:
        """Whether the labels are no secret, as those of test images may be."""
        several = isinstance(self.label, SeveralLabels)
        some = self.in_order().map(self.parse).take(LOOKED_AT if several else 1)
        labels = [label.numpy() for _, label in some]
        return any(label.any() if several else label >= 0 for label in labels)

    def shuffled(self, seed: int, epoch: tf.Tensor) -> tf.data.Dataset:
        """Encoded examples in an order that depends on seed and epoch alone.

        Files come in random order. Sixteen at a time take turns, and their examples are permuted
        within windows of 256 MiB. So a small set is permuted as a whole.

        Args:
            seed: in [0, 2**31).
            epoch: int64 ().

        Returns:
            Elements of type string, shape ().
        """
        files = len(self.paths)
        order_seed = tf.stack([tf.constant(seed, tf.int64), epoch])
        order = tf.random.experimental.index_shuffle(tf.range(files), order_seed, files - 1)
        examples = self._parts(order).interleave(
            _read_part,
            cycle_length=min(files, PARALLEL_FILES),
            num_parallel_calls=tf.data.AUTOTUNE,
            deterministic=True,
        )

        def permute(number: tf.Tensor, window: tf.Tensor) -> tf.Tensor:
            size = tf.size(window)
            window_seed = tf.random.fold_in(order_seed, number)
            indices = tf.random.experimental.index_shuffle(tf.range(size), window_seed, size - 1)
            return tf.gather(window, indices)

        windows = examples.batch(max(SHUFFLE_BYTES // self.mean_bytes, 1)).enumerate()
        return windows.map(permute).unbatch()

    def arrays(self, image_shape: tuple[int, int, int]) -> Arrays:
        """Decodes the whole split. This is meant for small sets.

        Args:
            image_shape: the height, width and channels to bring the images to.

        Returns:
            Images uint8 (N, *image_shape) and labels int32 (N,) or (N, K), in stored order.
        """
        height, width, channels = image_shape

        def decode(example: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            encoded, label = self.parse(example)
            image = tf.io.decode_image(encoded, channels, expand_animations=False)
            image = tf.ensure_shape(image, (None, None, channels))
            same = tf.reduce_all(tf.shape(image)[:2] == (height, width))
            image = tf.cond(same, lambda: image, lambda: resize(image, (height, width)))
            return tf.ensure_shape(image, image_shape), label

        images = np.empty((self.count, *image_shape), np.uint8)
        label = self.label
        number = (len(label.class_names),) if isinstance(label, SeveralLabels) else ()
        labels = np.empty((self.count, *number), np.int32)
        decoded = self.in_order().map(
            decode, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True
        )
        filled = 0
        for batch, classes in decoded.batch(1024).prefetch(1).as_numpy_iterator():
            images[filled : filled + len(batch)] = batch
            labels[filled : filled + len(batch)] = classes
            filled += len(batch)
        return images[:filled], labels[:filled]

    def _parts(self, order: tf.Tensor) -> tf.data.Dataset:
        columns = (tf.constant(self.paths), tf.constant(self.skips, tf.int64))
        takes = tf.constant(self.takes, tf.int64)
        return tf.data.Dataset.from_tensor_slices(
            tuple(tf.gather(column, order) for column in (*columns, takes))
        )


class RecordSource(StreamedSource):
    """A large set of TensorFlow Datasets, whose images are decoded as they are read.

    Of a test image, the middle square with 87.5 % of the shorter side is resized.

    Args:
        info: what the data set is.
        train: the training split.
        test: the test split.
    """

    def __init__(self, info: DatasetInfo, train: Records, test: Records) -> None:
        super().__init__(info)
        self._train = train
        self._test = test

    def _training_records(
        self, stream: Stream, first_epoch: int, skip: int, per_epoch: int
    ) -> tf.data.Dataset:
        records = self._train

        def one_epoch(epoch: tf.Tensor) -> tf.data.Dataset:
            done = tf.where(epoch == first_epoch, tf.constant(skip, tf.int64), 0)
            return records.shuffled(stream.seed, epoch).take(per_epoch).skip(done)

        epochs = tf.data.Dataset.range(first_epoch, tf.int64.max)
        return epochs.flat_map(one_epoch).map(records.parse)

    def _test_records(self) -> tf.data.Dataset:
        return self._test.in_order().map(self._test.parse)

    def _whole_image(self, record: tf.Tensor) -> tf.Tensor:
        height, width, channels = self.info.image_shape

        def from_jpeg() -> tf.Tensor:
            shape = tf.image.extract_jpeg_shape(record)
            window = central_window(shape[0], shape[1], CENTRAL_FRACTION)
            return tf.image.decode_and_crop_jpeg(record, window, channels=channels)

        def from_other() -> tf.Tensor:
            image = self._decode(record)
            shape = tf.shape(image)
            return cut(image, central_window(shape[0], shape[1], CENTRAL_FRACTION))

        return resize(tf.cond(tf.io.is_jpeg(record), from_jpeg, from_other), (height, width))

    def _random_part(self, record: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        height, width, channels = self.info.image_shape

        def from_other() -> tf.Tensor:
            image = self._decode(record)
            shape = tf.shape(image)
            return resize(cut(image, random_window(shape[0], shape[1], seed)), (height, width))

        return tf.cond(
            tf.io.is_jpeg(record),
            lambda: crop_of_jpeg(record, channels, (height, width), seed),
            from_other,
        )

    def _decode(self, record: tf.Tensor) -> tf.Tensor:
        channels = self.info.image_shape[2]
        image = tf.io.decode_image(record, channels, expand_animations=False)
        return tf.ensure_shape(image, (None, None, channels))


def _read_part(path: tf.Tensor, skip: tf.Tensor, take: tf.Tensor) -> tf.data.Dataset:
    return tf.data.TFRecordDataset(path, buffer_size=READ_BUFFER).skip(skip).take(take)
