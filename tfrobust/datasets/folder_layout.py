"""Which sub-folders of a user's folder are classes, and which say what to train and to test on."""

import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tfrobust.datasets.headers import SUFFIXES
from tfrobust.errors import InputError

Split = Literal["train", "validation", "test"]
# In any case: Roboflow writes valid/, Keras' tutorials validation/, others Train/ or testing/.
SPLIT_NAMES: dict[str, Split] = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "dev": "validation",
    "test": "test",
    "testing": "test",
}
# Made by programs, not by the user.
LEFTOVERS = ("__MACOSX", "__pycache__")


@dataclass(frozen=True)
class Layout:
    """How a folder is organised.

    Args:
        parts: where the classes' folders lie: for each split, or under None if no folder says what
            to train and what to test on.
        class_names: sorted, in the order of the labels.
        notes: sentences about what may surprise the user.
    """

    parts: dict[Split | None, Path]
    class_names: tuple[str, ...]
    notes: tuple[str, ...]


def layout(root: Path) -> Layout:
    """Finds the classes of a folder.

    A folder has one sub-folder for each class; or sub-folders such as train/, valid/ and test/ with
    the classes in them. Hidden folders do not count.

    Args:
        root: an existing folder.

    Returns:
        How it is organised.

    Raises:
        InputError: there are fewer than two classes, the splits have different classes, or a name
            that no report can carry.
        OSError: a folder cannot be read.
    """
    parts, notes = _parts(root)
    classes = {split: sub_folders(part) for split, part in parts.items()}
    names = next(iter(classes.values()))
    for split, others in classes.items():
        _require_same_classes(root, names, others, split)
    if len(names) < 2:
        raise InputError(_too_few(root, next(iter(parts.values())), names))
    for name in names:
        require_plain(name)
    return Layout(parts, tuple(names), tuple(notes))


def sub_folders(folder: Path) -> list[str]:
    """The names of the folders in a folder, sorted, without hidden ones and leftovers."""
    return sorted(
        entry.name
        for entry in folder.iterdir()
        if entry.is_dir() and entry.name[0] != "." and entry.name not in LEFTOVERS
    )


def _parts(root: Path) -> tuple[dict[Split | None, Path], list[str]]:
    folders = sub_folders(root)
    splits: dict[Split, list[str]] = {}
    for name in folders:
        if name.lower() in SPLIT_NAMES:
            splits.setdefault(SPLIT_NAMES[name.lower()], []).append(name)
    others = [name for name in folders if name.lower() not in SPLIT_NAMES]
    if not splits or (others and not _are_splits(root, splits)):
        # A class may be called "train".
        return {None: root}, []
    for split, names in splits.items():
        if len(names) > 1:
            raise InputError(
                f"{root} has more than one folder for {split}: {'/, '.join(names)}/. Keep one"
            )
    named = {split: names[0] for split, names in splits.items()}
    if "train" not in named:
        held = "/, ".join(named.values())
        raise InputError(f"{root} has {held}/ but no train/. Add train/ beside it")
    notes = []
    if others:
        notes.append(f"{'/, '.join(others)}/ beside {named['train']}/ is not read")
    if "validation" in named and "test" not in named:
        named["test"] = named.pop("validation")
        notes.append(f"there is no test/, so {named['test']}/ is tested on")
    if "test" not in named:
        return {None: root / named["train"]}, notes
    told = [f"{named[split]}/ for {split}" for split in ("train", "validation", "test")
            if split in named]  # fmt: skip
    if set(named.values()) - {"train", "test"}:
        notes.append(f"the folder is read as {', '.join(told)}")
    order: tuple[Split, ...] = ("train", "validation", "test")
    return {split: root / named[split] for split in order if split in named}, notes


def _are_splits(root: Path, splits: dict[Split, list[str]]) -> bool:
    """Whether folders beside others are splits all the same: they share their classes."""
    if "train" not in splits or len(splits) < 2:
        return False
    classes = [sub_folders(root / name) for names in splits.values() for name in names]
    return len(classes[0]) >= 2 and all(one == classes[0] for one in classes)


def _require_same_classes(
    root: Path, train: list[str], other: list[str], split: Split | None
) -> None:
    if train != other:
        only_train = ", ".join(sorted(set(train) - set(other))) or "none"
        only_other = ", ".join(sorted(set(other) - set(train))) or "none"
        raise InputError(
            f"the folders for training and {split} of {root} must have the same classes; only in "
            f"training: {only_train}; only in {split}: {only_other}. Add or remove these folders"
        )


def _too_few(root: Path, part: Path, names: Sequence[str]) -> str:
    kinds = Counter(entry.suffix.lower() in SUFFIXES for entry in part.iterdir())
    found = f"it has {', '.join(names) or 'none'}"
    if kinds[True]:
        found += f" and {kinds[True]} pictures that lie in no class"
    advice = "Sort the images into one sub-folder for each class"
    if len(names) == 1 and len(sub_folders(part / names[0])) >= 2:
        advice = f"If the classes lie in {names[0]}/, name that folder: {part / names[0]}"
    return f"{part} must have one sub-folder for each class, at least two; {found}. {advice}"


def require_plain(name: str) -> None:
    """Refuses a class name that JSON, SVG or a terminal cannot carry.

    Raises:
        InputError: says how to change it.
    """
    if any(unicodedata.category(letter) in ("Cc", "Cs") for letter in name):
        shown = name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
        raise InputError(
            f"the class {shown!r} has a name that reports cannot show: it is not UTF-8, or has "
            "control characters. Rename it"
        )
