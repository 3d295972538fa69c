"""Finds the classes and pictures of a user's folder, and splits them into train and test."""

import hashlib
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from tfrobust.errors import InputError

EXTENSIONS = (".png", ".jpg", ".jpeg")
TEST_FOLDERS = ("test", "val", "validation")
TEST_SHARE = 0.2
Split = Literal["train", "test"]


@dataclass(frozen=True)
class Picture:
    """One picture file.

    Args:
        path: the file.
        label: the index of its class.
        name: the path relative to the user's folder, with "/".
        key: a hash of class and file name, in [0, 1). It decides the order, and the split where
            the folders do not.
        split: "train" or "test" if the folders say so; None if `split_by_hash` is to decide.
    """

    path: Path
    label: int
    name: str
    key: float
    split: Split | None


@dataclass(frozen=True)
class Folder:
    """A user's folder.

    Args:
        root: the folder.
        class_names: sorted, in the order of the labels.
        pictures: all files that are pictures by their names, in the order of their names.
        is_split: whether sub-folders say what to train and what to test on.
    """

    root: Path
    class_names: tuple[str, ...]
    pictures: tuple[Picture, ...]
    is_split: bool


def scan(root: Path) -> Folder:
    """Lists a folder that has one sub-folder for each class, or train/ and test/ with such.

    Only files that end in .png, .jpg or .jpeg count, and hidden files do not. test/ may also be
    called val/ or validation/. If there are several, the first of these three names counts.

    Args:
        root: an existing folder.

    Returns:
        What the folder holds.

    Raises:
        InputError: there are fewer than two classes, train/ and test/ have different classes, or
            the folder cannot be read.
    """
    try:
        parts = _parts(root)
        classes = {split: _sub_folders(part) for split, part in parts.items()}
        names = next(iter(classes.values()))
        for other in classes.values():
            _require_same_classes(root, names, other)
        if len(names) < 2:
            raise InputError(
                f"{root} must have one sub-folder a class, at least two; it has "
                f"{', '.join(names) or 'none'}. Sort the images into one sub-folder a class"
            )
        pictures = [
            picture
            for split, part in parts.items()
            for label, name in enumerate(names)
            for picture in _pictures(root, part / name, label, split)
        ]
    except OSError as error:
        raise InputError(f"cannot read the folder {root}: {error}") from error
    return Folder(root, tuple(names), tuple(pictures), None not in parts)


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
    for label in sorted({picture.label for picture in pictures}):
        own = sorted((p for p in pictures if p.label == label), key=lambda p: (p.key, p.name))
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
    folder: Folder, pictures: Sequence[Picture], purpose: str, skipped: Sequence[str]
) -> None:
    """Refuses a class without a readable picture.

    Args:
        folder: the user's folder.
        pictures: the readable pictures.
        purpose: "to train on" or "to test on".
        skipped: the names of unreadable files.

    Raises:
        InputError: a class has no readable picture.
    """
    counts = np.bincount([p.label for p in pictures], minlength=len(folder.class_names))
    if not counts.all():
        name = folder.class_names[int(np.argmin(counts))]
        broken = sum(name in Path(entry).parts[:-1] for entry in skipped)
        raise InputError(
            f"class {name!r} of {folder.root} has no readable image {purpose} "
            f"({broken} unreadable files there). Each class needs at least one PNG or JPEG to "
            "train on and one to test on: convert or add images, or remove the class's folder"
        )


def _parts(root: Path) -> dict[Split | None, Path]:
    folders = _sub_folders(root)
    tests = [name for name in TEST_FOLDERS if name in folders]
    # A class may be called "train". So the folder is split only if it has no other sub-folders.
    if not folders or not set(folders) <= {"train", *TEST_FOLDERS}:
        return {None: root}
    if "train" not in folders:
        raise InputError(f"{root} has {'/, '.join(tests)}/ but no train/. Add train/ beside it")
    if not tests:
        return {None: root / "train"}
    return {"train": root / "train", "test": root / tests[0]}


def _sub_folders(folder: Path) -> list[str]:
    return sorted(
        entry.name for entry in folder.iterdir() if entry.is_dir() and entry.name[0] != "."
    )


def _require_same_classes(root: Path, train: list[str], test: list[str]) -> None:
    if train != test:
        only_train = ", ".join(sorted(set(train) - set(test))) or "none"
        only_test = ", ".join(sorted(set(test) - set(train))) or "none"
        raise InputError(
            f"the training and the test folder of {root} must have the same classes; only in "
            f"training: {only_train}; only in test: {only_test}. Add or remove these folders"
        )


def _pictures(root: Path, folder: Path, label: int, split: Split | None) -> Iterable[Picture]:
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if name[0] != ".")
        for file in sorted(files):
            path = Path(place, file)
            if file[0] == "." or path.suffix.lower() not in EXTENSIONS:
                continue
            key = _key(path.relative_to(folder.parent).as_posix())
            yield Picture(path, label, path.relative_to(root).as_posix(), key, split)


def _key(name: str) -> float:
    digest = hashlib.sha256(name.encode("utf-8", "surrogateescape")).digest()
    # A float holds 53 bits exactly, so the quotient stays below 1.
    return (int.from_bytes(digest[:8], "big") >> 11) / 2**53
