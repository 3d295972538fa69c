"""What every data set offers: `DatasetInfo` and `DataSource`.

A training stream is a function of seed and step. Batch k is the same whether the stream ran from
its start or was opened at k, so an interrupted training goes on exactly as if it had not stopped.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace

import numpy as np
import tensorflow as tf

from tfrobust.datasets.names import AUGMENTATIONS, BALANCES, Balance, Fit
from tfrobust.datasets.order import image_weights
from tfrobust.datasets.stream import Stream, to_floats
from tfrobust.errors import InputError

Arrays = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class DatasetInfo:
    """What a data set is.

    Args:
        name: can be used as the name of a folder.
        image_shape: (H, W, C).
        class_names: the name of each class, in the order of the labels.
        train_images: the number of images to train on.
        test_images: the number of images to test on.
        provenance: one sentence for cards and reports: which data, where from, which licence.
        mean: of each channel, in units of pixels in [0, 1].
        std: the standard deviation of each channel, likewise.
        bits: how many bits of each sample carry the picture in 16-bit files that do not say it;
            None if there are no such files.
        frame: which frame of DICOM files is read, from 1; None for the only one.
        fit: how pictures of other proportions are brought to `image_shape`: "crop" or "letterbox".
        multi_label: whether an image may have several of the classes. Its labels are then 0 or 1
            for each of them, (N, K), and else the number of its class, (N,).
        digest: of a user's folder, a hash of the files' names, labels, splits and weights; None for
            a published set.
    """

    name: str
    image_shape: tuple[int, int, int]
    class_names: tuple[str, ...]
    train_images: int
    test_images: int
    provenance: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    bits: int | None = None
    frame: int | None = None
    fit: Fit = "crop"
    multi_label: bool = False
    digest: str | None = None

    @property
    def num_classes(self) -> int:
        """The number of classes."""
        return len(self.class_names)

    def of_validation(self, count: int) -> "DatasetInfo":
        """Of a set that holds nothing but so many validation images, as its test images."""
        return replace(self, train_images=0, test_images=count)


def channel_statistics(images: np.ndarray) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Measures the mean and the standard deviation, which the network's first layer needs.

    Args:
        images: uint8 (N, H, W, C), a sample of the training images.

    Returns:
        The mean and the standard deviation of each channel, in units of pixels in [0, 1]. To divide
        by the deviation is safe: it is 0.25 for a channel that does not vary. Without images the
        result is 0.5 and 0.25.
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
    """An opened data set.

    Args:
        info: what the data set is.
        skipped: the names of files that could not be read and are left out.

    Attributes:
        validation: the images to watch while training, as the test images of a set of their own;
            None if the data set has none besides its test images.
    """

    _count_is_known = True

    def __init__(self, info: DatasetInfo, skipped: tuple[str, ...] = ()) -> None:
        self.info = info
        self.validation: DataSource | None = None
        self._skipped = skipped
        self._own_weights: np.ndarray | None = None

    @property
    def skipped(self) -> tuple[str, ...]:
        """The names of files that could not be read and are left out."""
        return self._skipped

    @property
    def watched(self) -> "DataSource":
        """What to test on while training: the set for validation if there is one."""
        return self.validation or self

    def steps_per_epoch(self, batch_size: int) -> int:
        """The number of full batches in the training set. An epoch leaves out the remainder.

        Args:
            batch_size: images in a batch.

        Returns:
            train_images // batch_size, at least 1.

        Raises:
            InputError: there are too few images for a batch.
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
        balance: Balance = "none",
    ) -> tf.data.Dataset:
        """An endless stream of training batches, which are shuffled anew in each epoch.

        Args:
            batch_size: images in a batch.
            seed: of the order and of the augmentation, in [0, 2**31).
            augmentation: "none", "crop", "crop_flip", "imagenet" or "radiograph"; see
                `augment.augment`.
            start_step: the number of the first batch. Those before it are skipped without being
                decoded.
            rows: for one host of several: the first row to give of every batch, and the last + 1.
                The other rows are not decoded. None gives all rows.
            balance: "sampling" shows each class equally often; "weights" makes them weigh the same
                in the loss; "none" takes the classes as they come.

        Returns:
            Batches of images float32 (B, H, W, C) in [0, 1] and labels int32 (B,), or (B, K) of a
            multi-label set, where B is batch_size or the number of rows. With weights, by `balance`
            or by the set's own, also weights float32 (B,), which are 1 on average. Batch k depends
            on seed, k and these arguments alone. All its images are of one epoch.

        Raises:
            InputError: an argument is out of its range.
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
        if balance not in BALANCES:
            raise InputError(f"balance must be one of {', '.join(BALANCES)}; got {balance!r}")
        labels = None if balance == "none" else self._training_labels()
        if balance != "none" and (labels is None or labels.ndim != 1):
            raise InputError(
                f"expected `balance` to be none for {self.info.name}, whose images "
                + ("are read in their stored order" if labels is None else "have several labels")
                + f", got {balance!r}"
            )
        weights = None
        if balance == "weights" or self._own_weights is not None:
            weights = image_weights(
                self.info.train_images, self._own_weights, labels if balance == "weights" else None
            )
        first, last = rows or (0, batch_size)
        if not 0 <= first < last <= batch_size:
            raise InputError(f"rows must lie within a batch of {batch_size}, got {rows}")
        batches = self._training_batches(
            Stream(
                batch_size=batch_size,
                seed=seed,
                augmentation=augmentation,
                start_step=start_step,
                rows=(first, last),
                balance=balance,
                weights=weights,
            )
        )
        if last - first < batch_size:
            batches = batches.map(lambda *batch: tuple(part[first:last] for part in batch))
        return batches.prefetch(tf.data.AUTOTUNE)

    def test(
        self, batch_size: int, *, limit: int | None = None, drop_remainder: bool = False
    ) -> tf.data.Dataset:
        """One pass over the test images in their stored order.

        Args:
            batch_size: images in a batch.
            limit: only the first so many images; None for all.
            drop_remainder: whether to leave out a last batch that is not full.

        Returns:
            Batches of images float32 (B, H, W, C) in [0, 1] and labels int32 (B,).

        Raises:
            InputError: an argument is out of its range.
        """
        _require_whole("batch_size", batch_size, 1)
        count = self._bounded(limit)
        examples = self._test_examples().take(count)
        if self._count_is_known:
            # Progress bars ask for the count, which not every tf.data.Dataset knows.
            examples = examples.apply(tf.data.experimental.assert_cardinality(count))
        batches = examples.batch(batch_size, drop_remainder=drop_remainder)
        return batches.map(to_floats).prefetch(tf.data.AUTOTUNE)

    def test_arrays(self, limit: int | None, *, seed: int = 0) -> Arrays:
        """Test images as arrays.

        The stored order is fixed and not sorted by class: sets of TensorFlow Datasets are stored
        shuffled, in the others the classes take turns. So the first images are a fair sample.

        Args:
            limit: at most so many images; None for all.
            seed: 0 takes the first images of the stored order. Any other number takes a random
                sample, in stored order, which is the same for the same seed.

        Returns:
            Images float32 (N, H, W, C) in [0, 1] and labels int32 (N,).

        Raises:
            InputError: an argument is out of its range.
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
        if not batches:
            raise InputError(f"no test image of {self.info.name} can be read any more")
        images, labels = zip(*batches, strict=True)
        return np.concatenate(images), np.concatenate(labels)

    def _training_labels(self) -> np.ndarray | None:
        """The labels of all training images, int (N,) or (N, K); None where they are not known."""
        return None

    @abstractmethod
    def _training_batches(self, stream: Stream) -> tf.data.Dataset:
        """The stream's whole batches. Rows outside of `stream.rows` may hold any pixels."""

    @abstractmethod
    def _test_examples(self) -> tf.data.Dataset:
        """All test examples in stored order: images uint8 (H, W, C) and labels int32 ()."""

    def _bounded(self, limit: int | None) -> int:
        if limit is not None:
            _require_whole("limit", limit, 1)
        return min(limit or self.info.test_images, self.info.test_images)


def _require_whole(name: str, value: int, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
        raise InputError(f"{name} must be a whole number of at least {least}, got {value!r}")
