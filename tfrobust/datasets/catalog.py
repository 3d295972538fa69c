"""Opens image-classification sets of TensorFlow Datasets by their names."""

import os
from dataclasses import replace
from typing import Any, NamedTuple

from tfrobust.datasets.arrays import ArraySource
from tfrobust.datasets.info import HELD_OUT, DatasetInfo, channel_statistics
from tfrobust.datasets.records import Records, RecordSource
from tfrobust.datasets.several_labels import SeveralLabels
from tfrobust.datasets.source import DataSource
from tfrobust.datasets.tfds_builder import image_and_label, open_builder, prepare
from tfrobust.errors import InputError

MEMORY_BYTES = 400 * 10**6
DEFAULT_SIZE = 224
SAMPLE_IMAGES = 200
IMAGENET_STATISTICS = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
STATISTICS = {
    "cifar10": ((0.4914, 0.4822, 0.4465), (0.247, 0.243, 0.261)),
    "cifar100": ((0.5071, 0.4865, 0.4409), (0.2673, 0.2564, 0.2762)),
    "mnist": ((0.1307,), (0.3081,)),
    "fashion_mnist": ((0.2860,), (0.3530,)),
}
TITLES = {
    "cifar10": "CIFAR-10",
    "cifar100": "CIFAR-100",
    "mnist": "MNIST",
    "fashion_mnist": "Fashion-MNIST",
    "svhn_cropped": "SVHN",
    "imagenet2012": "ImageNet 2012",
}
# These were published without loss of quality. Figures measured on a JPEG copy are not figures of
# the published set, so the provenance says so.
LOSSLESS = ("cifar10", "cifar100", "mnist", "fashion_mnist", "kmnist", "emnist", "svhn_cropped")


class Splits(NamedTuple):
    """The examples to train and to test on, and the names of their splits.

    Args:
        train: the examples to train on; None if the set is for testing only.
        test: the examples to test on.
        train_name: such as "train" or "train[:80%]"; "" without examples to train on.
        test_name: such as "test".
    """

    train: Records | None
    test: Records
    train_name: str
    test_name: str


def load_catalog(
    name: str,
    data_dir: str | os.PathLike[str] | None,
    image_size: int | None,
    held_out: int = 0,
) -> DataSource:
    """Opens a set of TensorFlow Datasets.

    Args:
        name: such as "cifar10", or with configuration and version "imagenet_resized/32x32:0.1.0".
        data_dir: the folder that holds the set; None for the default folder, to which it is
            downloaded if it is missing.
        image_size: height and width in pixels; None for the set's own, or 224 where it varies.
        held_out: how many of the training images take the place of the test images.

    Returns:
        A source in memory if all images have one shape and fit into 400 MB, else one that reads
        from disk as it goes.

    Raises:
        InputError: the set is unknown, cannot be had, or is not about image classification.
    """
    builder = open_builder(name, data_dir)
    image_key, label, shape = image_and_label(builder)
    prepare(builder, name, data_dir)
    if builder.info.file_format.value != "tfrecord":
        raise InputError(
            f"{name} in {builder.data_dir} is stored as {builder.info.file_format.value}; "
            "expected tfrecord. Build it again with: tfds build --file_format=tfrecord"
        )
    splits = choose_splits(builder, image_key, label, held_out)
    sizes = (image_size, image_size) if image_size else shape[:2]
    height, width = (DEFAULT_SIZE if size is None else size for size in sizes)
    image_shape = (height, width, shape[2])
    count = splits.test.count + (splits.train.count if splits.train else 0)
    in_memory = None not in shape and count * height * width * shape[2] <= MEMORY_BYTES
    mean, std = statistics(builder.name, splits, image_shape)
    if isinstance(label, SeveralLabels):
        class_names = label.class_names
    else:
        class_names = tuple(builder.info.features[label].names)
    info = DatasetInfo(
        name=name.replace("/", "_").replace(":", "_"),
        image_shape=image_shape,
        class_names=class_names,
        train_images=splits.train.count if splits.train else 0,
        test_images=splits.test.count,
        provenance=provenance(builder, splits),
        mean=mean,
        std=std,
        multi_label=isinstance(label, SeveralLabels),
    )
    if held_out:
        info = replace(info, tested=HELD_OUT)
    # Sets such as cifar10_1 are for testing only. `DataSource.train` refuses them by their
    # train_images of 0.
    train, test = splits.train or splits.test, splits.test
    if not in_memory:
        return RecordSource(info, train, test)
    return ArraySource(
        info, train=lambda: train.arrays(image_shape), test=lambda: test.arrays(image_shape)
    )


def choose_splits(
    builder: Any, image_key: str, label: str | SeveralLabels, held_out: int = 0
) -> Splits:
    """Chooses the splits to train and to test on.

    The split "train" is trained on. The split "test" is tested on; "validation" if there is no
    "test" or its labels are secret; and the last 20 % of "train" if there is neither.

    Args:
        builder: a prepared tfds.core.DatasetBuilder.
        image_key: the name of the image feature.
        label: the name of the label feature, or where several labels are.
        held_out: if not 0, the last so many training images are tested on instead.

    Returns:
        The chosen splits.

    Raises:
        InputError: no images are left to test on, or to train on.
    """
    splits = _own_splits(builder, image_key, label)
    if not held_out:
        return splits
    count = splits.train.count if splits.train else 0
    if held_out >= count:
        raise InputError(
            f"expected held_out below {builder.name}'s {count} training images, got {held_out}"
        )
    rest, held = f"train[:{count - held_out}]", f"train[{count - held_out}:{count}]"
    return Splits(
        Records.of_split(builder.info.splits, rest, image_key, label),
        Records.of_split(builder.info.splits, held, image_key, label),
        rest,
        held,
    )


def _own_splits(builder: Any, image_key: str, label: str | SeveralLabels) -> Splits:
    available = builder.info.splits

    def records(split: str) -> Records:
        return Records.of_split(available, split, image_key, label)

    train_name = "train" if "train" in available else ""
    for test_name in ("test", "validation"):
        if test_name in available and records(test_name).is_labelled():
            train = records(train_name) if train_name else None
            return Splits(train, records(test_name), train_name, test_name)
    if not train_name:
        raise InputError(
            f"{builder.info.full_name} has neither train nor labelled test images: its splits are "
            f"{', '.join(available) or 'none'}"
        )
    slices = ("train[:80%]", "train[80%:]")
    return Splits(records(slices[0]), records(slices[1]), *slices)


def statistics(
    name: str, splits: Splits, image_shape: tuple[int, int, int]
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Gives the published mean and standard deviation of a set, or measures them on 200 images.

    Args:
        name: the set's name, without configuration and version.
        splits: where to take the sample from.
        image_shape: (H, W, C).

    Returns:
        The mean and the standard deviation of each channel, in units of pixels in [0, 1].
    """
    known = STATISTICS.get(name, IMAGENET_STATISTICS if name.startswith("imagenet") else None)
    if known and len(known[0]) == image_shape[2]:
        return known
    sample = (splits.train or splits.test).head(SAMPLE_IMAGES)
    return channel_statistics(sample.arrays(image_shape)[0])


def provenance(builder: Any, splits: Splits) -> str:
    """Writes the sentence about the set for cards and reports."""
    title = TITLES.get(builder.name, builder.name)
    if builder.name in LOSSLESS and splits.test.first().startswith(b"\xff\xd8"):
        title += " (JPEG copy)"
    train = ""
    if splits.train:
        train = f"{splits.train.count} training images ({splits.train_name}) and "
    licence = builder.info.redistribution_info.license or "see the homepage"
    return (
        f"{title}, {builder.info.full_name} of TensorFlow Datasets: {train}{splits.test.count} "
        f"test images ({splits.test_name}); homepage {builder.info.homepage}; licence: {licence}."
    )
