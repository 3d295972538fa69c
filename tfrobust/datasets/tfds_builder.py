"""Finds, checks and prepares the builder of a set of TensorFlow Datasets."""

import os
import socket
import urllib.request
from typing import Any

import numpy as np

from tfrobust.datasets.names import (
    base_name,
    default_data_dir,
    imagenet_advice,
    not_prepared,
    unknown_name,
)
from tfrobust.datasets.several_labels import SeveralLabels, adapted
from tfrobust.errors import InputError, reason_of


def open_builder(name: str, data_dir: str | os.PathLike[str] | None) -> Any:
    """Finds a set's builder, without reading or downloading its images.

    Args:
        name: the set's name, with its configuration and version if wanted.
        data_dir: the folder of prepared sets; None for the default folder.

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
    # Each builder is code of its own and raises errors of its own: for a missing module, an
    # unknown configuration, a version that was never built.
    except Exception as error:
        raise InputError(f"TensorFlow Datasets cannot open {name!r}: {_brief(error)}") from error


def image_and_label(
    builder: Any,
) -> tuple[str, str | SeveralLabels, tuple[int | None, int | None, int]]:
    """Finds which of a set's features are the image and its class.

    Args:
        builder: a tfds.core.DatasetBuilder.

    Returns:
        The image's key, the label's key or where several labels are, and the image's shape
        (H, W, C), in which None stands for a size that varies.

    Raises:
        InputError: the set does not pair one 8-bit image, grey or in colour, with one class.
    """
    import tensorflow_datasets as tfds

    several = adapted(builder)
    if several is not None:
        return "image", several, builder.info.features["image"].shape
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
    """Downloads and prepares a set if it is not on disk yet.

    Args:
        builder: a tfds.core.DatasetBuilder.
        name: the set's name as the user gave it.
        data_dir: the folder that the user gave. Sets are downloaded to the default folder only,
            which is meant by None.

    Raises:
        InputError: the set cannot be had. The message says how to obtain it.
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
    # The network, the disk, a checksum or the builder's own code may fail.
    except Exception as error:
        raise InputError(
            f"{name} could not be downloaded to {root}: {_brief(error)}. {advice}"
        ) from error


def is_offline() -> bool:
    """Whether Google's storage has no address here. Without this check tfds tries for minutes."""
    if urllib.request.getproxies():
        return False
    try:
        socket.getaddrinfo("storage.googleapis.com", 443)
    except OSError:
        return True
    return False


def _brief(error: Exception) -> str:
    return f"{type(error).__name__}: {reason_of(error)[:200]}"
