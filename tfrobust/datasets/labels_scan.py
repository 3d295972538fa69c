"""Finds the pictures that a CSV of labels lists."""

import dataclasses
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from tfrobust.datasets.folder_layout import Split
from tfrobust.datasets.folder_scan import Folder, Picture, files_below, key_of, shown
from tfrobust.datasets.headers import SUFFIXES
from tfrobust.datasets.labels_table import Table, read_files
from tfrobust.errors import InputError

SPLITS: tuple[Split, ...] = ("train", "validation", "test")
SHOWN = 3


def scan_table(root: Path, table: Table) -> Folder:
    """Finds the pictures that a CSV lists, wherever they lie in a folder.

    Listed files that are missing, lines without a label, and pictures that are not listed are left
    out, counted and said.

    Args:
        root: the folder that the names are relative to.
        table: what the CSV says.

    Returns:
        What the folder holds.

    Raises:
        InputError: a file is listed twice, a name without a suffix means several files, no listed
            file is there, none is to train or to test on, or the folder cannot be read.
    """
    passed_over: Counter[str] = Counter()
    files, ways = _files(root, passed_over)
    numbers = {name: number for number, name in enumerate(table.class_names)}
    pictures: list[Picture] = []
    lines: dict[str, int] = {}
    missing, unlabelled = [], 0
    for row in table.rows:
        name = _found(row.line, row.file, table.path, root, ways)
        if name is None:
            missing.append(row.file)
            continue
        if name in lines:
            raise InputError(
                f"{table.path}, line {row.line}: {row.file!r} is listed in line {lines[name]} "
                "already. Keep one line for each file"
            )
        lines[name] = row.line
        if row.label == "":
            unlabelled += 1
            continue
        label = numbers[row.label] if isinstance(row.label, str) else row.label
        pictures.append(
            Picture(files[name], label, shown(name), key_of(name), row.split, row.group, row.weight)
        )
    if not lines:
        raise InputError(
            f"none of the {len(missing)} files that {table.path} lists is in {root}, such as "
            f"{_some(missing)}. Give the folder that the names are relative to"
        )
    unlisted = [name for name in files if name not in lines]
    strange = [name for name in unlisted if not _is_picture(name)]
    passed_over += Counter(
        shown(os.path.splitext(name)[1].lower()) or "without a suffix"
        for name in strange
        if files[name] != str(table.path.resolve())
    )
    not_listed = [name for name in unlisted if _is_picture(name)]
    counts, notes = [], []
    for count, words, names in (
        (len(missing), "listed files are missing", missing),
        (unlabelled, "listed files have no label", []),
        (len(not_listed), "pictures are not listed", not_listed),
    ):
        if count:
            counts.append(f"{count} {words}")
            notes.append(
                f"{table.path.name}: {counts[-1]}" + (f": {_some(names)}" if names else "")
            )
    pictures, told = _whole_split(pictures, table.path)
    return Folder(
        root=root,
        class_names=table.class_names,
        pictures=tuple(sorted(pictures, key=lambda picture: picture.name)),
        splits=tuple(part for part in SPLITS if any(one.split == part for one in pictures)),
        passed_over=passed_over,
        notes=(*notes, *told),
        table=table,
        counts=tuple(counts),
        grouped_by=f"the column {table.group!r}" if table.group else None,
    )


def find_listed(path: Path) -> list[tuple[str, Path | None]]:
    """Finds the files that a CSV lists in the CSV's own folder.

    Args:
        path: of the CSV; only its column `file` matters.

    Returns:
        For each line the name as it is written there, and the file; None if it is missing.

    Raises:
        InputError: as `labels_table.read_files`; a name without a suffix means several files; or
            the folder cannot be read.
    """
    listed, root = read_files(path), path.resolve().parent
    files, ways = _files(root, Counter())
    found = []
    for line, written in listed.items():
        name = _found(line, written, path, root, ways)
        found.append((written, None if name is None else Path(files[name])))
    return found


def _files(root: Path, passed_over: Counter[str]) -> tuple[dict[str, str], dict[str, list[str]]]:
    """The files below a folder by their names, and the names that each way to write one means."""
    try:
        found = {
            os.path.relpath(file, root).replace(os.sep, "/"): file
            for file in files_below(str(root), passed_over)
        }
    except OSError as error:
        raise InputError(f"cannot read the folder {root}: {error}") from error
    ways: dict[str, list[str]] = {name: [name] for name in found}
    for name in found:
        stem = os.path.splitext(name)[0]
        if _is_picture(name) and stem not in found:
            ways.setdefault(stem, []).append(name)
    return found, ways


def _found(line: int, file: str, path: Path, root: Path, ways: dict[str, list[str]]) -> str | None:
    """The name of the file that a line means; None if there is none."""
    written = file.replace("\\", "/")
    if os.path.isabs(written):
        written = os.path.relpath(written, root)
    names = ways.get(str(PurePosixPath(written)), [])
    if len(names) > 1:
        raise InputError(
            f"{path}, line {line}: {file!r} may be {' or '.join(map(shown, names))}. Write "
            "its suffix too"
        )
    return names[0] if names else None


def _whole_split(pictures: list[Picture], path: Path) -> tuple[list[Picture], list[str]]:
    """The pictures, if some are to train and some to test on, and notes about them."""
    found = {one.split for one in pictures} - {None}
    if found == {"train", "validation"}:
        tested = [
            dataclasses.replace(one, split="test") if one.split == "validation" else one
            for one in pictures
        ]
        return tested, [f"{path.name}: there is no split `test`, so `validation` is tested on"]
    if found and not {"train", "test"} <= found:
        raise InputError(
            f"expected some pictures to train and some to test on by the column `split` of {path}, "
            f"got {', '.join(sorted(map(str, found)))} alone. Add the others, or leave the column "
            "out"
        )
    return pictures, []


def _is_picture(name: str) -> bool:
    return os.path.splitext(name)[1].lower() in SUFFIXES


def _some(names: Sequence[str]) -> str:
    return ", ".join(map(shown, names[:SHOWN])) + (", …" if len(names) > SHOWN else "")
