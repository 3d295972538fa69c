"""Splits the pictures of a user's folder into those to train on and those to test on."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePosixPath

import numpy as np

from tfrobust.datasets.folder_layout import Split
from tfrobust.datasets.folder_scan import Folder, Picture, key_of
from tfrobust.datasets.left_out import LeftOut
from tfrobust.errors import InputError

TEST_SHARE = 0.2
PURPOSES = {"train": "to train on", "validation": "for validation", "test": "to test on"}


def split(folder: Folder, left_out: LeftOut) -> dict[Split, list[Picture]]:
    """Decides what to train, to validate and to test on, and in which order.

    Args:
        folder: the user's folder with its readable pictures.
        left_out: its other pictures.

    Returns:
        The pictures to train on, in the order of their hashes; those to test on, in which the
        classes take turns; and likewise those for validation, if the folder has such.

    Raises:
        InputError: a class has no readable picture to train on, for validation, or to test on.
    """
    readable = folder.pictures
    if folder.splits:
        parts = {part: [one for one in readable if one.split == part] for part in folder.splits}
    else:
        by_groups = folder.grouped_by or (folder.table and folder.table.multi_label)
        train, test = split_by_groups(readable) if by_groups else split_by_hash(readable)
        parts = {"train": train, "test": test}
    require_every_class(folder, parts, left_out)
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
    classes: dict[int | tuple[int, ...], list[Picture]] = {}
    for picture in pictures:
        classes.setdefault(picture.label, []).append(picture)
    for own in classes.values():
        own = in_hash_order(own)
        border = sum(picture.key < TEST_SHARE for picture in own)
        border = min(max(border, 1), len(own) - 1)
        test += own[:border]
        train += own[border:]
    return train, test


def split_by_groups(pictures: Sequence[Picture]) -> tuple[list[Picture], list[Picture]]:
    """Splits groups: about a fifth of each class is tested on, and no group is on both sides.

    Large groups are placed first, each where the classes' shares then are nearest to a fifth;
    groups of one size take turns by the hashes of their names. A class that is missing on one side
    gets its smallest group that no class of the other side needs. The same pictures are always
    split in the same way; where pictures are added, others may change sides.

    Args:
        pictures: the pictures of all classes. One without a group is a group of its own.

    Returns:
        The pictures to train on, and the pictures to test on.
    """
    groups: dict[tuple[str, bool], list[Picture]] = {}
    for picture in pictures:
        alone = picture.group is None
        groups.setdefault((picture.name if alone else str(picture.group), alone), []).append(
            picture
        )
    order = sorted(groups, key=lambda name: (-len(groups[name]), key_of(name[0]), name))
    number = 1 + max((max(one.classes, default=-1) for one in pictures), default=-1)
    # The last column counts the pictures, those without any label among them.
    counts = np.zeros((len(order), number + 1))
    for row, name in zip(counts, order, strict=True):
        for picture in groups[name]:
            row[[*picture.classes, -1]] += 1
    total = np.maximum(counts.sum(0), 1)
    is_test = np.zeros(len(order), bool)
    seen, chosen = np.zeros(number + 1), np.zeros(number + 1)
    for place, own in enumerate(counts):
        seen += own
        too_few = TEST_SHARE * seen - chosen
        is_test[place] = np.sum((too_few - own) ** 2 / total) < np.sum(too_few**2 / total)
        chosen += own * is_test[place]
    for side in (True, False):
        for label in np.flatnonzero(counts[is_test == side].sum(0) == 0):
            for place in np.flatnonzero((is_test != side) & (counts[:, label] > 0))[::-1]:
                rest = counts[is_test != side].sum(0) - counts[place]
                if np.all((rest > 0) | (counts[place] == 0)):
                    is_test[place] = side
                    break
    parts: tuple[list[Picture], list[Picture]] = ([], [])
    for name, side in zip(order, is_test, strict=True):
        parts[int(side)].extend(groups[name])
    return parts


def in_hash_order(pictures: Iterable[Picture]) -> list[Picture]:
    """Sorts by the hash of the name, which depends on neither class nor date nor camera."""
    return sorted(pictures, key=lambda picture: (picture.key, picture.name))


def interleaved(pictures: Iterable[Picture]) -> list[Picture]:
    """Sorts so that the classes take turns, and the first pictures are a fair sample."""
    turn: Counter[int | tuple[int, ...]] = Counter()
    keyed = []
    for picture in in_hash_order(pictures):
        keyed.append((turn[picture.label], picture.label, picture))
        turn[picture.label] += 1
    return [picture for _, _, picture in sorted(keyed, key=lambda entry: entry[:2])]


def digest(parts: Mapping[Split, Sequence[Picture]]) -> str:
    """A hash of which pictures are for what, and of their labels and weights.

    Args:
        parts: what `split` gave.
    """
    found = hashlib.sha256()
    for part, pictures in parts.items():
        for one in pictures:
            found.update(json.dumps([part, one.name, one.label, one.weight]).encode())
    return found.hexdigest()


def require_every_class(
    folder: Folder, parts: dict[Split, list[Picture]], left_out: LeftOut
) -> None:
    """Refuses a class without a readable picture.

    Args:
        folder: the user's folder.
        parts: its readable pictures by what they are for.
        left_out: its other pictures.

    Raises:
        InputError: a class has no readable picture.
    """
    for part, pictures in parts.items():
        classes = [label for one in pictures for label in one.classes]
        counts = np.bincount(classes, minlength=len(folder.class_names))
        if counts.all():
            continue
        name = folder.class_names[int(np.argmin(counts))]
        where, broken = str(folder.root), left_out.reasons
        if folder.table is not None:
            where = str(folder.table.path)
        else:
            broken = {
                one: reason
                for one, reason in broken.items()
                if name in PurePosixPath(one).parts[:-1]
            }
        told = f"{len(broken)} unreadable files there"
        if broken:
            told += ", such as {}: {}".format(*next(iter(sorted(broken.items()))))
        whole = ""
        if folder.grouped_by and not folder.splits:
            whole = f" once groups by {folder.grouped_by} are kept whole"
        raise InputError(
            f"class {name!r} of {where} has no readable image{whole} {PURPOSES[part]} ({told}). "
            "Each class needs at least one picture to train on and one to test on: convert or add "
            "images, or take the class out"
        )
