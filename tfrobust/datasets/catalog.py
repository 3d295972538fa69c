"""Image-classification sets of TensorFlow Datasets, by their names."""

import os
import socket
import urllib.request
from typing import Any, NamedTuple

import numpy as np

from tfrobust.datasets.arrays import ArraySource
from tfrobust.datasets.names import (
    base_name,
    default_data_dir,
    imagenet_advice,
    not_prepared,
    unknown_name,
)
from tfrobust.datasets.records import Records, RecordSource
from tfrobust.datasets.source import DatasetInfo, DataSource, channel_statistics
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
# Published without loss: found as JPEG, a figure measured on them is not the published set's.
LOSSLESS = ("cifar10", "cifar100", "mnist", "fashion_mnist", "kmnist", "emnist", "svhn_cropped")


class Splits(NamedTuple):
    """Where the examples to train and to test on lie, and what tfds calls them."""

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
    """Opens a set of TensorFlow Datasets, downloading it if it may.

    Args:
        name: "cifar10", or with configuration and version: "imagenet_resized/32x32:0.1.0".
        data_dir: where it lies prepared; None: tfds' default folder, to which it is downloaded.
        image_size: height and width in pixels; None: the set's own, or 224 where it varies.
        held_out: how many training images to test on, in the place of the test images.

    Returns:
        A source in memory where all images have one shape and fit into 400 MB, else streamed.

    Raises:
        InputError: unknown, not obtainable, or not image classification.
    """
    builder = open_builder(name, data_dir)
    image_key, label_key, shape = image_and_label(builder)
    prepare(builder, name, data_dir)
    if builder.info.file_format.value != "tfrecord":
        raise InputError(
            f"{name} in {builder.data_dir} is stored as {builder.info.file_format.value}; "
            "expected tfrecord. Build it again with: tfds build --file_format=tfrecord"
        )
    splits = choose_splits(builder, image_key, label_key, held_out)
    sizes = (image_size, image_size) if image_size else shape[:2]
    height, width = (DEFAULT_SIZE if size is None else size for size in sizes)
    image_shape = (height, width, shape[2])
    count = splits.test.count + (splits.train.count if splits.train else 0)
    in_memory = None not in shape and count * height * width * shape[2] <= MEMORY_BYTES
    mean, std = statistics(builder.name, splits, image_shape)
    info = DatasetInfo(
        name=name.replace("/", "_").replace(":", "_"),
        image_shape=image_shape,
        class_names=tuple(builder.info.features[label_key].names),
        train_images=splits.train.count if splits.train else 0,
        test_images=splits.test.count,
        provenance=provenance(builder, splits),
        mean=mean,
        std=std,
    )
    # A set for testing only (cifar10_1) has no training images, which `train` refuses.
    train, test = splits.train or splits.test, splits.test
    if not in_memory:
        return RecordSource(info, train, test)
    return ArraySource(
        info, train=lambda: train.arrays(image_shape), test=lambda: test.arrays(image_shape)
    )


def open_builder(name: str, data_dir: str | os.PathLike[str] | None) -> Any:
    """Finds the set's tfds builder, without reading or downloading its images.

    Args:
        name: as for `load_catalog`.
        data_dir: as for `load_catalog`.

    Returns:
        A tfds.core.DatasetBuilder.

    Raises:
        InputError: there is no such set, configuration or version.
    """
    import tensorflow_datasets as tfds

    directory = None if data_dir is None else os.path.expanduser(data_dir)
    try:
        return tfds.builder(name, data_dir=directory)
    except tfds.core.DatasetNotFoundError as error:
        raise unknown_name(name) from error
    # Each set's builder is code of its own, which fails in its own ways: a missing module, an
    # unknown configuration, a version that was never built.
    except Exception as error:
        raise InputError(f"TensorFlow Datasets cannot open {name!r}: {brief(error)}") from error


def image_and_label(builder: Any) -> tuple[str, str, tuple[int | None, int | None, int]]:
    """Finds the features to classify.

    Args:
        builder: a tfds.core.DatasetBuilder.

    Returns:
        Key of the image, key of the label, shape of the image (None where it varies).

    Raises:
        InputError: the set does not pair one 8-bit grey or colour image with one class.
    """
    import tensorflow_datasets as tfds

    keys = builder.info.supervised_keys or ("image", "label")
    features = builder.info.features
    known = dict(features.items()) if isinstance(features, tfds.features.FeaturesDict) else {}
    image, label = (known.get(key) if isinstance(key, str) else None for key in keys[:2])
    if not isinstance(image, tfds.features.Image) or not isinstance(
        label, tfds.features.ClassLabel
    ):
        raise InputError(
            f"{builder.name} is no image-classification set: expected an image and a class label, "
            f"its examples have {', '.join(list(known)[:8]) or type(features).__name__}"
        )
    if image.shape[-1] not in (1, 3) or np.dtype(image.np_dtype) != np.uint8:
        raise InputError(
            f"the images of {builder.name} are {np.dtype(image.np_dtype)} of shape {image.shape}; "
            "expected uint8, grey or colour. Choose another configuration of the set, if it has one"
        )
    return keys[0], keys[1], image.shape


def prepare(builder: Any, name: str, data_dir: str | os.PathLike[str] | None) -> None:
    """Sees to it that the set lies on disk.

    Args:
        builder: a tfds.core.DatasetBuilder.
        name: as the user wrote it.
        data_dir: as the user gave it; a set is downloaded to the default folder only.

    Raises:
        InputError: it does not, and how to obtain it.
    """
    if builder.is_prepared():
        return
    if data_dir is not None:
        raise not_prepared(name, data_dir)
    root = default_data_dir()
    if base_name(name) == "imagenet2012":
        raise InputError(f"{name} is not in {root}. {imagenet_advice(root)}")
    if builder.MANUAL_DOWNLOAD_INSTRUCTIONS:
        raise InputError(
            f"{name} is not in {root} and must be downloaded by hand to {root}/downloads/manual, "
            f"then: tfds build {name}\n{builder.MANUAL_DOWNLOAD_INSTRUCTIONS.strip()}"
        )
    advice = (
        "Check the network and the free space, or prepare it where there is a network "
        f"(tfds build {name}), copy the folder here and give its place as data_dir."
    )
    if is_offline():
        raise InputError(f"{name} is not in {root}, and there is no network. {advice}")
    print(f"{name} is not in {root}: downloading it ({builder.info.download_size})", flush=True)
    try:
        builder.download_and_prepare()
    # Network, disk, checksums, and each builder's own code: all end in "could not be had".
    except Exception as error:
        raise InputError(
            f"{name} could not be downloaded to {root}: {brief(error)}. {advice}"
        ) from error


def is_offline() -> bool:
    """Whether not even Google's storage has an address: tfds would try for minutes."""
    if urllib.request.getproxies():
        return False
    try:
        socket.getaddrinfo("storage.googleapis.com", 443)
    except OSError:
        return True
    return False


def choose_splits(builder: Any, image_key: str, label_key: str, held_out: int = 0) -> Splits:
    """Decides what to train and what to test on.

    Args:
        builder: a prepared tfds.core.DatasetBuilder.
        image_key: name of the image feature.
        label_key: name of the label feature.
        held_out: how many images at the end of those to train on are to be tested on instead.

    Returns:
        The split "train", and "test", or "validation" where there is no test or its labels are
        kept secret; else the last 20 % of "train".

    Raises:
        InputError: there is nothing to test on, or nothing left to train on.
    """
    splits = _own_splits(builder, image_key, label_key)
    if not held_out:
        return splits
    count = splits.train.count if splits.train else 0
    if held_out >= count:
        raise InputError(
            f"expected held_out below {builder.name}'s {count} training images, got {held_out}"
        )
    rest, held = f"train[:{count - held_out}]", f"train[{count - held_out}:{count}]"
    return Splits(
        Records.of_split(builder.info.splits, rest, image_key, label_key),
        Records.of_split(builder.info.splits, held, image_key, label_key),
        rest,
        held,
    )


def _own_splits(builder: Any, image_key: str, label_key: str) -> Splits:
    available = builder.info.splits

    def records(split: str) -> Records:
        return Records.of_split(available, split, image_key, label_key)

    train_name = "train" if "train" in available else ""
    for test_name in ("test", "validation"):
        if test_name in available and records(test_name).first()[1] >= 0:
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
    """Mean and standard deviation per channel in [0, 1]: published, or of a sample of 200 images.

    Args:
        name: of the set, without configuration.
        splits: what to sample.
        image_shape: height, width, channels.

    Returns:
        Mean and standard deviation, a value a channel each.
    """
    known = STATISTICS.get(name, IMAGENET_STATISTICS if name.startswith("imagenet") else None)
    if known and len(known[0]) == image_shape[2]:
        return known
    sample = (splits.train or splits.test).head(SAMPLE_IMAGES)
    return channel_statistics(sample.arrays(image_shape)[0])


def provenance(builder: Any, splits: Splits) -> str:
    """The sentence for cards and reports."""
    title = TITLES.get(builder.name, builder.name)
    if builder.name in LOSSLESS and splits.test.first()[0].startswith(b"\xff\xd8"):
        title += " (JPEG copy)"
    train = ""
    if splits.train:
        train = f"{splits.train.count} training images ({splits.train_name}) and "
    licence = builder.info.redistribution_info.license or "see the homepage"
    return (
        f"{title}, {builder.info.full_name} of TensorFlow Datasets: {train}{splits.test.count} "
        f"test images ({splits.test_name}); homepage {builder.info.homepage}; licence: {licence}."
    )


def brief(error: Exception) -> str:
    """An error's first line, at most 200 characters."""
    lines = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {lines[0][:200]}"
