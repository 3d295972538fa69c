"""Opens a data set for a network, and refuses one that does not fit it."""

import os
from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

from tfrobust.datasets.loading import load
from tfrobust.datasets.names import Fit
from tfrobust.datasets.source import DataSource
from tfrobust.errors import InputError


class Fitting(NamedTuple):
    """A data set that fits a network.

    Args:
        source: the data set, resized if that makes it fit.
        notes: sentences for the user, such as that images are resized.
    """

    source: DataSource
    notes: list[str]


def load_fitting(
    name: str,
    *,
    data_dir: str | os.PathLike[str] | None = None,
    image_shape: Sequence[int | None],
    num_classes: int | None,
    class_names: Sequence[str] | None = None,
    bits: int | None = None,
    frame: int | None = None,
    labels: str | os.PathLike[str] | None = None,
    group: str | None = None,
    fit: Fit = "crop",
    several: bool = False,
    label: int | None = None,
) -> Fitting:
    """Opens a data set for a network.

    Args:
        name: as for `load`.
        data_dir: as for `load`.
        image_shape: the images that the network takes, (H, W, C), with None for a size that is
            free. If they are square, the set's images are resized to them.
        num_classes: how many classes the network knows; None if it does not say.
        class_names: the names of these classes; None if they are not known.
        bits: as for `load`.
        frame: as for `load`.
        labels: as for `load`.
        group: as for `load`.
        fit: as for `load`.
        several: whether the network's classes are labels that may hold together.
        label: the one of the set's labels that a network of two classes is asked about.

    Returns:
        The data set and notes about it.

    Raises:
        InputError: the set has other images or another number of classes than the network, or the
            same classes in another order; or an image has one class in the one and several labels
            in the other.
    """
    opened = partial(
        load,
        name,
        data_dir=data_dir,
        bits=bits,
        frame=frame,
        labels=labels,
        group=group,
        fit=fit,
    )
    source, notes = opened(), []
    own = source.info.image_shape
    height, width, _ = image_shape
    if height is not None and own[:2] != (height, width) and height == width:
        source = opened(image_size=height)
        notes.append(f"images of {name} are resized from {own[0]} × {own[1]} to {height} × {width}")
    _check_task(source, several, label)
    if label is not None and source.info.multi_label:
        num_classes = class_names = None  # those of the network are without the label, and with it
    found = source.info.image_shape
    if any(wanted not in (None, size) for wanted, size in zip(image_shape, found, strict=True)):
        raise InputError(
            f"the network takes images of {tuple(image_shape)}, but {name} has {own}; name a data "
            "set that fits"
        )
    if num_classes is not None:
        check_classes(source, num_classes)
    named = list(source.info.class_names)
    if class_names is not None and list(class_names) != named:
        theirs, ours = ", ".join(class_names[:5]), ", ".join(named[:5])
        if sorted(class_names) == sorted(named):
            raise InputError(
                f"the network's classes are those of {name} in another order: {theirs}… there, "
                f"{ours}… here. So its labels would be mistaken for others. Rename the folders, or "
                "train on this set"
            )
        notes.append(
            f"the network's classes have other names ({theirs}…) than those of {name} ({ours}…); "
            "classes of the same number are taken for the same"
        )
    return Fitting(source, notes)


def check_classes(source: DataSource, num_classes: int) -> None:
    """Refuses a data set with another number of classes than a network.

    Raises:
        InputError: the numbers differ.
    """
    if source.info.num_classes != num_classes:
        raise InputError(
            f"the network tells {num_classes} classes apart, but {source.info.name} has "
            f"{source.info.num_classes}; name a data set that fits"
        )


def _check_task(source: DataSource, several: bool, label: int | None) -> None:
    """Refuses images of one class each for a network of several labels, and the other way round."""
    info = source.info
    if several and not info.multi_label:
        raise InputError(
            f"expected images that may have several labels, as the network decides about each; "
            f"those of {info.name} have one class each. A CSV with a column of 0 and 1 for each "
            "label says them"
        )
    if info.multi_label and not several and label is None:
        raise InputError(
            f"expected a network of several labels, as images of {info.name} may have them; this "
            "one tells classes apart that exclude one another. Such a network ends in a sigmoid "
            "for each label. Ask about one label by `label`"
        )
    if info.multi_label and label is not None and label >= info.num_classes:
        raise InputError(
            f"expected `label` below {info.num_classes}, the number of labels of {info.name}, got "
            f"{label}"
        )
