"""Splits the pictures of a user's folder into those to train on and those to test on."""

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath

import numpy as np

from tfrobust.datasets.folder_layout import Split
from tfrobust.datasets.folder_scan import Folder, Picture
from tfrobust.errors import InputError

TEST_SHARE = 0.2
PURPOSES = {"train": "to train on", "validation": "for validation", "test": "to test on"}


def split(
    folder: Folder, readable: Sequence[Picture], broken: Sequence[str]
) -> dict[Split, list[Picture]]:
    """Decides what to train, to validate and to test on, and in which order.

    Args:
        folder: the user's folder.
        readable: its readable pictures.
        broken: the names of its other pictures.

    Returns:
        The pictures to train on, in the order of their hashes; those to test on, in which the
        classes take turns; and likewise those for validation, if the folder has such.

    Raises:
        InputError: a class has no readable picture to train on, for validation, or to test on.
    """
    if folder.splits:
        parts = {part: [one for one in readable if one.split == part] for part in folder.splits}
    else:
        train, test = split_by_hash(readable)
        parts = {"train": train, "test": test}
    require_every_class(folder, parts, broken)
    return {
        part: in_hash_order(pictures) if part == "train" else interleaved(pictures)
        for part, pictures in parts.items()
    }


def split_by_hash(pictures: Sequence[Picture]) -> tuple[list[Picture], list[Picture]]:
    """Splits each class: about one picture in five is tested on, chosen by the hash of its name.

    A picture stays on its side when others are added. In a class so small that one side would be
    empty, the picture whose hash is nearest to the border changes sides.

    Args:
        pictures: the pictures of all classes.

    Returns:
        The pictures to train on, and the pictures to test on.
    """
    train: list[Picture] = []
    test: list[Picture] = []
    classes: dict[int, list[Picture]] = {}
    for picture in pictures:
        classes.setdefault(picture.label, []).append(picture)
    for _, own in sorted(classes.items()):
        own = in_hash_order(own)
        border = sum(picture.key < TEST_SHARE for picture in own)
        border = min(max(border, 1), len(own) - 1)
        test += own[:border]
        train += own[border:]
    return train, test


def in_hash_order(pictures: Iterable[Picture]) -> list[Picture]:
    """Sorts by the hash of the name, which depends on neither class nor date nor camera."""
    return sorted(pictures, key=lambda picture: (picture.key, picture.name))


def interleaved(pictures: Iterable[Picture]) -> list[Picture]:
    """Sorts so that the classes take turns, and the first pictures are a fair sample."""
    turn: Counter[int] = Counter()
    keyed = []
    for picture in in_hash_order(pictures):
        keyed.append((turn[picture.label], picture.label, picture))
        turn[picture.label] += 1
    return [picture for _, _, picture in sorted(keyed, key=lambda entry: entry[:2])]


def require_every_class(
    folder: Folder, parts: dict[Split, list[Picture]], broken: Sequence[str]
) -> None:
    """Refuses a class without a readable picture.

    Args:
        folder: the user's folder.
        parts: its readable pictures by what they are for.
        broken: the names of unreadable files.

    Raises:
        InputError: a class has no readable picture.
    """
    for part, pictures in parts.items():
        counts = np.bincount([one.label for one in pictures], minlength=len(folder.class_names))
        if counts.all():
            continue
        name = folder.class_names[int(np.argmin(counts))]
        damaged = sum(name in PurePosixPath(entry).parts[:-1] for entry in broken)
        raise InputError(
            f"class {name!r} of {folder.root} has no readable image {PURPOSES[part]} "
            f"({damaged} unreadable files there). Each class needs at least one picture to train "
            "on and one to test on: convert or add images, or remove the class's folder"
        )
