"""What every data set offers: `DatasetInfo` and `DataSource`.

A training stream is a function of (seed, step): batch k is the same whether the stream was run
from its start or opened at k, so that an interrupted run goes on bit by bit as if it had not been.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from tfrobust.datasets.names import AUGMENTATIONS
from tfrobust.errors import InputError

Arrays = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class DatasetInfo:
    """What a data set is.

    Attributes:
        name: usable as the name of a folder.
        image_shape: height, width, channels.
        class_names: by label.
        train_images: how many there are to train on.
        test_images: how many there are to test on.
        provenance: one sentence for cards and reports: what data, where from, which licence.
        mean: per channel, of images in [0, 1].
        std: per channel, of images in [0, 1].
    """

    name: str
    image_shape: tuple[int, int, int]
    class_names: tuple[str, ...]
    train_images: int
    test_images: int
    provenance: str
    mean: tuple[float, ...]
    std: tuple[float, ...]

    @property
    def num_classes(self) -> int:
        """The number of classes."""
        return len(self.class_names)


def channel_statistics(images: np.ndarray) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Measures what the network's normalisation needs.

    Args:
        images: uint8 (N, H, W, C), a sample of the training images.

    Returns:
        Mean and standard deviation per channel in units of [0, 1]; a channel without variation
        gets .25, and no image at all .5 and .25, so that dividing by it is safe.
    """
    if not len(images):
        return (0.5,) * images.shape[-1], (0.25,) * images.shape[-1]
    mean = images.mean((0, 1, 2)) / 255
    std = images.std((0, 1, 2)) / 255
    return (
        tuple(round(float(value), 4) for value in mean),
        tuple(round(float(value), 4) if value > 1e-3 else 0.25 for value in std),
    )


class DataSource(ABC):
    """A data set, opened.

    Attributes:
        info: what it is.
        skipped: names of files that could not be read and are left out.
    """

    def __init__(self, info: DatasetInfo, skipped: tuple[str, ...] = ()) -> None:
        self.info = info
        self.skipped = skipped

    def steps_per_epoch(self, batch_size: int) -> int:
        """Full batches in the training set; the remainder is left out of each epoch.

        Args:
            batch_size: images a batch.

        Returns:
            train_images // batch_size, at least 1.

        Raises:
            InputError: no batch can be filled.
        """
        _require_whole("batch_size", batch_size, 1)
        if not self.info.train_images:
            raise InputError(f"{self.info.name} has no training images: it is for testing only")
        if batch_size > self.info.train_images:
            raise InputError(
                f"batch_size {batch_size} is larger than the training set of {self.info.name}: "
                f"{self.info.train_images} images. Give a smaller one."
            )
        return self.info.train_images // batch_size

    def train(
        self,
        batch_size: int,
        *,
        seed: int,
        augmentation: str = "crop_flip",
        start_step: int = 0,
        rows: tuple[int, int] | None = None,
    ) -> tf.data.Dataset:
        """An endless stream of training batches, shuffled anew each epoch.

        Args:
            batch_size: images a batch.
            seed: of shuffling and augmentation, in [0, 2**31).
            augmentation: "none", "crop", "crop_flip" or "imagenet"; see augment.py.
            start_step: the first batch to give; those before it are skipped without decoding.
            rows: first and last + 1 of the rows to give of every batch, for one host of many;
                the others are not decoded. None: all.

        Returns:
            Batches (images float32 (B, H, W, C) in [0, 1], labels int32 (B,)). Batch k depends on
            seed, k, batch_size and augmentation only, and none straddles two epochs; B is
            batch_size, or the number of `rows`, which are those of the whole batch.

        Raises:
            InputError: an argument out of its range.
        """
        self.steps_per_epoch(batch_size)
        _require_whole("seed", seed, 0)
        _require_whole("start_step", start_step, 0)
        if seed >= 2**31:
            raise InputError(f"seed must be below 2**31, got {seed}")
        if augmentation not in AUGMENTATIONS:
            raise InputError(
                f"augmentation must be one of {', '.join(AUGMENTATIONS)}; got {augmentation!r}"
            )
        first, last = rows or (0, batch_size)
        if not 0 <= first < last <= batch_size:
            raise InputError(f"rows must lie within a batch of {batch_size}, got {rows}")
        batches = self._training_batches(batch_size, seed, augmentation, start_step, (first, last))
        if last - first < batch_size:
            batches = batches.map(lambda images, labels: (images[first:last], labels[first:last]))
        return batches.prefetch(tf.data.AUTOTUNE)

    def test(
        self, batch_size: int, *, limit: int | None = None, drop_remainder: bool = False
    ) -> tf.data.Dataset:
        """One pass over the test images in their stored order.

        Args:
            batch_size: images a batch.
            limit: the first so many images only; None: all.
            drop_remainder: leave out a last batch that is not full.

        Returns:
            Batches (images float32 (B, H, W, C) in [0, 1], labels int32 (B,)).

        Raises:
            InputError: an argument out of its range.
        """
        _require_whole("batch_size", batch_size, 1)
        count = self._bounded(limit)
        examples = self._test_examples().take(count)
        # The count is known here though not to every dataset, and progress bars ask for it.
        examples = examples.apply(tf.data.experimental.assert_cardinality(count))
        batches = examples.batch(batch_size, drop_remainder=drop_remainder)
        return batches.map(to_floats).prefetch(tf.data.AUTOTUNE)

    def test_arrays(self, limit: int | None, *, seed: int = 0) -> Arrays:
        """Test images as arrays.

        Every source's order is fixed, and no source is sorted by class: sets of TensorFlow
        Datasets are stored shuffled, the others interleave their classes. So the first images
        are a fair sample.

        Args:
            limit: at most so many; None: all.
            seed: 0 takes the first of the stored order; any other number a random pick, the same
                for the same seed, in stored order.

        Returns:
            images float32 (N, H, W, C) in [0, 1] and labels int32 (N,).

        Raises:
            InputError: an argument out of its range.
        """
        count = self._bounded(limit)
        _require_whole("seed", seed, 0)
        examples = self._test_examples()
        if seed:
            chosen = np.zeros(self.info.test_images, bool)
            order = np.random.default_rng(seed).permutation(self.info.test_images)
            chosen[order[:count]] = True
            picked = tf.data.Dataset.from_tensor_slices(chosen)
            pairs = tf.data.Dataset.zip(picked, examples)
            examples = pairs.filter(lambda keep, _: keep).map(lambda _, example: example)
        batches = [
            (images.numpy(), labels.numpy())
            for images, labels in examples.take(count).batch(256).map(to_floats)
        ]
        images, labels = zip(*batches, strict=True)
        return np.concatenate(images), np.concatenate(labels)

    @abstractmethod
    def _training_batches(
        self,
        batch_size: int,
        seed: int,
        augmentation: str,
        start_step: int,
        rows: tuple[int, int],
    ) -> tf.data.Dataset:
        """Whole batches of `train` after its checks; what lies outside `rows` may be anything."""

    @abstractmethod
    def _test_examples(self) -> tf.data.Dataset:
        """All test examples in stored order: image uint8 (H, W, C), label int32 ()."""

    def _bounded(self, limit: int | None) -> int:
        if limit is not None:
            _require_whole("limit", limit, 1)
        return min(limit or self.info.test_images, self.info.test_images)


def step_seed(seed: int, step: tf.Tensor) -> tf.Tensor:
    """The seed of what is random in one batch: int64 (2,), distinct from every epoch's."""
    # The order of an epoch is seeded by (seed, epoch), which would meet (seed, step).
    return tf.stack([tf.constant(seed + 2**32, tf.int64), tf.cast(step, tf.int64)])


def to_floats(images: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Turns images uint8 of any shape into float32 in [0, 1]; labels pass through."""
    return tf.cast(images, tf.float32) / 255, labels


def _require_whole(name: str, value: int, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
        raise InputError(f"{name} must be a whole number of at least {least}, got {value!r}")
