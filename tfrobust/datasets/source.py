"""What every data set offers: `DataSource`.

A training stream is a function of seed and step. Batch k is the same whether the stream ran from
its start or was opened at k, so an interrupted training goes on exactly as if it had not stopped.
"""

from abc import ABC, abstractmethod

import numpy as np
import tensorflow as tf

from tfrobust.datasets.info import DatasetInfo
from tfrobust.datasets.names import AUGMENTATIONS, BALANCES, DRAWS, Balance, Draw
from tfrobust.datasets.order import image_weights
from tfrobust.datasets.sample import Sample, by_label, drawn
from tfrobust.datasets.stream import Stream, own_threads, to_floats
from tfrobust.errors import InputError

Arrays = tuple[np.ndarray, np.ndarray]


class DataSource(ABC):
    """An opened data set.

    Args:
        info: what the data set is.
        skipped: the names of files that could not be read and are left out.

    Attributes:
        validation: the images to watch while training, as the test images of a set of their own;
            None if the data set has none besides its test images.
        test_files: the file name of each test image in stored order; empty if there are none.
        test_groups: what each test image belongs to, such as one of the patients, by number; empty
            if nothing groups them.
    """

    _count_is_known = True

    def __init__(self, info: DatasetInfo, skipped: tuple[str, ...] = ()) -> None:
        self.info = info
        self.validation: DataSource | None = None
        self.test_files: tuple[str, ...] = ()
        self.test_groups: tuple[str, ...] = ()
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
            augmentation: "none", "flip", "crop", "crop_flip", "imagenet" or "radiograph"; see
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
        return batches.prefetch(tf.data.AUTOTUNE).with_options(own_threads())

    def training_images(self, limit: int) -> np.ndarray:
        """Some training images, not augmented: the first of an epoch with seed 0.

        Args:
            limit: how many at most.

        Returns:
            float32 (M, H, W, C) in [0, 1]; M is 0 for a set that is for testing only.
        """
        count = min(limit, self.info.train_images)
        if not count:
            return np.zeros((0, *self.info.image_shape), np.float32)
        images, *_ = next(iter(self.train(count, seed=0, augmentation="none")))
        return images.numpy()

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
        examples = self._test_examples(None).map(lambda row, image, label: (image, label))
        examples = examples.take(count)
        if self._count_is_known:
            # Progress bars ask for the count, which not every tf.data.Dataset knows.
            examples = examples.apply(tf.data.experimental.assert_cardinality(count))
        batches = examples.batch(batch_size, drop_remainder=drop_remainder)
        return batches.map(to_floats).prefetch(tf.data.AUTOTUNE)

    def test_arrays(self, limit: int | None) -> Arrays:
        """The first test images of the stored order, as arrays.

        Args:
            limit: at most so many images; None for all.

        Returns:
            Images float32 (N, H, W, C) in [0, 1] and labels int32 (N,).

        Raises:
            InputError: an argument is out of its range.
        """
        _, images, labels = self._read(np.arange(self.info.test_images), self._bounded(limit))
        return images, labels

    def test_sample(self, limit: int | None, *, draw: Draw | None = None, seed: int = 0) -> Sample:
        """Test images that stand for all of them, and what is known of them.

        Args:
            limit: at most so many images; None for all.
            draw: "stratified" draws by label, so that each label has its share of the sample; a
                larger sample has all images of a smaller one. "first" takes the first images of the
                stored order: sets of TensorFlow Datasets are stored shuffled, and the embedded
                set's classes, which are equally large, take turns. None draws from a user's folder
                by label, and of a published set takes the first images, on which published figures
                rest.
            seed: of the draw.

        Returns:
            The sample, in the order in which it was drawn.

        Raises:
            InputError: an argument is out of its range.
        """
        count, total = self._bounded(limit), self.info.test_images
        _require_whole("seed", seed, 0)
        draw = draw or ("first" if self.info.digest is None else "stratified")
        if draw not in DRAWS:
            raise InputError(f"draw must be one of {', '.join(DRAWS)}; got {draw!r}")
        stratified = draw == "stratified"
        order = by_label(self._test_labels(), seed) if stratified else np.arange(total)
        rows, images, labels = self._read(order, count)
        return Sample(
            images,
            labels,
            tuple(self.test_files[row] for row in rows if self.test_files),
            tuple(self.test_groups[row] for row in rows if self.test_groups),
            drawn(len(rows), total, self.info.tested, seed if stratified else None),
        )

    def _read(self, order: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The first images of an order that can be read: their rows, images and labels."""
        batches: list[list[np.ndarray]] = []
        found = tried = 0
        while found < count and tried < len(order):
            wanted = np.sort(order[tried : tried + count - found])
            tried += len(wanted)
            examples = self._test_examples(wanted).batch(256)
            for batch in examples.map(lambda rows, *pair: (rows, *to_floats(*pair))):
                batches.append([part.numpy() for part in batch])
                found += len(batches[-1][0])
        if not batches:
            raise InputError(f"no test image of {self.info.name} can be read any more")
        rows, images, labels = (np.concatenate(part) for part in zip(*batches, strict=True))
        place = np.argsort(order)[rows]
        if np.all(np.diff(place) > 0):
            return rows, images, labels
        as_drawn = np.argsort(place)
        return rows[as_drawn], images[as_drawn], labels[as_drawn]

    def _training_labels(self) -> np.ndarray | None:
        """The labels of all training images, int (N,) or (N, K); None where they are not known."""
        return None

    @abstractmethod
    def _training_batches(self, stream: Stream) -> tf.data.Dataset:
        """The stream's whole batches. Rows outside of `stream.rows` may hold any pixels."""

    @abstractmethod
    def _test_labels(self) -> np.ndarray:
        """The labels of all test images in stored order, int (N,) or (N, K)."""

    @abstractmethod
    def _test_examples(self, rows: np.ndarray | None) -> tf.data.Dataset:
        """Test examples in stored order.

        Args:
            rows: int (n,), which of them, ascending; None for all.

        Returns:
            Elements of the row int64 (), the image uint8 (H, W, C) and the label int32 () or (K,).
        """

    def _bounded(self, limit: int | None) -> int:
        if limit is not None:
            _require_whole("limit", limit, 1)
        return min(limit or self.info.test_images, self.info.test_images)


def _require_whole(name: str, value: int, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
        raise InputError(f"{name} must be a whole number of at least {least}, got {value!r}")
