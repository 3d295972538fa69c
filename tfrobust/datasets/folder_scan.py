"""Finds the pictures of a user's folder."""

import hashlib
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tfrobust.datasets.folder_layout import LEFTOVERS, Split, layout
from tfrobust.datasets.headers import SUFFIXES
from tfrobust.datasets.labels_table import Table
from tfrobust.errors import InputError


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture file.

    Args:
        file: where it is.
        label: the index of its class; or 0 or 1 for each label where it may have several.
        name: the path relative to the user's folder, with "/", as reports can show it.
        key: a hash of class and file name, in [0, 1). It decides the order, and the split where
            the folders do not.
        split: what the folders or the CSV say; None if `folder_split` is to decide.
        group: what it must stay together with, such as a patient's number; None if it is alone.
        weight: of it in the training's loss.
    """

    file: str
    label: int | tuple[int, ...]
    name: str
    key: float
    split: Split | None
    group: str | None = None
    weight: float = 1.0

    @property
    def path(self) -> Path:
        """The file."""
        return Path(self.file)

    @property
    def classes(self) -> tuple[int, ...]:
        """The numbers of its classes: one, or those whose label it has."""
        if isinstance(self.label, int):
            return (self.label,)
        return tuple(number for number, has in enumerate(self.label) if has)


@dataclass(frozen=True)
class Folder:
    """A user's folder.

    Args:
        root: the folder.
        class_names: in the order of the labels.
        pictures: all files that are pictures by their names, in the order of their names.
        splits: what the folders or the CSV say that there is; empty if `folder_split` is to decide.
        passed_over: how many of each kind were found that are no pictures, such as {".txt": 3}.
        notes: sentences about what may surprise the user.
        table: the CSV that says the labels; None if sub-folders do.
        counts: phrases for reports about what of the CSV is left out.
        grouped_by: what says the groups of the pictures; None if nothing does.
    """

    root: Path
    class_names: tuple[str, ...]
    pictures: tuple[Picture, ...]
    splits: tuple[Split, ...]
    passed_over: Counter[str]
    notes: tuple[str, ...]
    table: Table | None = None
    counts: tuple[str, ...] = ()
    grouped_by: str | None = None


def scan(root: Path) -> Folder:
    """Lists a folder that has one sub-folder for each class, or train/ and test/ with such.

    Files are pictures if their names end as those of PNG, JPEG, WebP, BMP, TIFF, GIF or DICOM
    files. Others are counted, except hidden ones. Pictures may lie in deeper folders; links to such
    folders are counted and not followed, because they may lead in circles.

    Args:
        root: an existing folder.

    Returns:
        What the folder holds.

    Raises:
        InputError: as `folder_layout.layout`, or the folder cannot be read.
    """
    passed_over: Counter[str] = Counter()
    try:
        found = layout(root)
        pictures = tuple(
            picture
            for split, part in found.parts.items()
            for label, name in enumerate(found.class_names)
            for picture in _pictures(root, part, name, label, split, passed_over)
        )
    except OSError as error:
        raise InputError(f"cannot read the folder {root}: {error}") from error
    splits = tuple(split for split in found.parts if split is not None)
    return Folder(root, found.class_names, pictures, splits, passed_over, found.notes)


def shown(name: str) -> str:
    """A file name in UTF-8, whatever its bytes are."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _pictures(
    root: Path, part: Path, name: str, label: int, split: Split | None, passed_over: Counter[str]
) -> Iterator[Picture]:
    for file in files_below(str(part / name), passed_over):
        suffix = os.path.splitext(file)[1].lower()
        if suffix not in SUFFIXES:
            passed_over[shown(suffix) or "without a suffix"] += 1
            continue
        key = key_of(os.path.relpath(file, part).replace(os.sep, "/"))
        yield Picture(
            file, label, shown(os.path.relpath(file, root).replace(os.sep, "/")), key, split
        )


def files_below(folder: str, passed_over: Counter[str]) -> Iterator[str]:
    """The regular files below a folder: those of each folder by name, then deeper ones."""
    folders = [folder]
    while folders:
        with os.scandir(folders.pop()) as entries:
            found = sorted(entries, key=lambda entry: entry.name)
        deeper = []
        for entry in found:
            if entry.name[0] == "." or entry.name in LEFTOVERS:
                continue
            if entry.is_dir(follow_symlinks=False):
                deeper.append(entry.path)
            elif os.path.isfile(entry.path):
                yield entry.path
            elif os.path.isdir(entry.path):
                passed_over["link to a folder"] += 1
            elif os.path.exists(entry.path):
                passed_over["pipe or device"] += 1
            else:
                passed_over["broken link"] += 1
        folders += reversed(deeper)


def key_of(name: str) -> float:
    """A hash of a name, in [0, 1)."""
    digest = hashlib.sha256(name.encode("utf-8", "surrogateescape")).digest()
    # A float holds 53 bits exactly, so the quotient stays below 1.
    return (int.from_bytes(digest[:8], "big") >> 11) / 2**53
