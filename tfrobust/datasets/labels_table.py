"""A CSV beside the images: which label, group, split and weight each picture has.

The first line names the columns, in any order and in upper or lower case:

- `file` (or filename, image, path): relative to the folder, with or without its suffix.
- `label` (or class, target, diagnosis): the class. Without this column, every column that is not
  named here is a label of its own, whose cells are 0 or 1: a picture may have several.
- `group` (or patient, patient_id, subject): what must not lie on both sides of the split.
- `split`: train, validation or test, and the other names that folders may have.
- `weight`: of the picture in the training's loss.

Commas, semicolons or tabs separate the cells.
"""

import csv
import io
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from tfrobust.datasets.folder_layout import SPLIT_NAMES, Split, require_plain
from tfrobust.errors import InputError

COLUMNS = {
    "file": ("file", "filename", "file_name", "image", "image_id", "image index", "path"),
    "label": ("label", "class", "target", "diagnosis"),
    "group": ("group", "patient", "patient_id", "patient id", "patientid", "subject", "subject_id"),
    "split": ("split",),
    "weight": ("weight", "sample_weight"),
}
BINARY = {"0": 0, "1": 1, "0.0": 0, "1.0": 1}
BINARY_WANTED = "0 or 1, as in every column of a CSV without a column `label`"
SEPARATORS = ",;\t"
MOST_BYTES = 2**28

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Row:
    """What a CSV says of one picture.

    Args:
        line: the number of its line, from 1.
        file: the picture's file as it is written there.
        label: its class, "" if it has none; or 0 or 1 for each label.
        group: None without such a column.
        split: None without such a column.
        weight: 1 without such a column.
    """

    line: int
    file: str
    label: str | tuple[int, ...]
    group: str | None
    split: Split | None
    weight: float


@dataclass(frozen=True)
class Table:
    """What a CSV holds.

    Args:
        path: of the CSV.
        class_names: the classes, sorted, or the labels in the order of their columns.
        rows: one for each picture.
        group: the name of the column with the groups; None if there is none.
        multi_label: whether a picture may have several labels.
    """

    path: Path
    class_names: tuple[str, ...]
    rows: tuple[Row, ...]
    group: str | None
    multi_label: bool


@dataclass(frozen=True)
class _Cells:
    """The cells of a CSV: the names of its columns, and by its number each line's cells."""

    path: Path
    names: list[str]
    lines: dict[int, list[str]]

    def parsed(self, line: int, place: int, parse: Callable[[str], Value], wanted: str) -> Value:
        """One cell's value, or an error that names the place."""
        cell = self.lines[line][place]
        try:
            return parse(cell)
        except (KeyError, ValueError):
            where = f"{self.path}, line {line}, column {self.names[place]!r}"
            raise InputError(f"{where}: expected {wanted}, got {cell!r}") from None


def read_table(path: Path, group: str | None = None) -> Table:
    """Reads and checks a CSV of labels.

    Args:
        path: of the CSV, in UTF-8.
        group: the name of the column with the groups; None for a column that is called so.

    Raises:
        InputError: it cannot be read, a column is missing, or a cell is no label, split or weight;
            the line and the column are named. Or there are fewer than two classes.
    """
    cells = _read(path)
    names = cells.names
    places = _places(cells, group)
    labels = [place for place in range(len(names)) if place not in places.values()]
    if "label" in places:
        labels = []
    elif not labels:
        raise InputError(
            f"expected a column `label`, or a column of 0 and 1 for each label, in {path}; its "
            f"columns are {', '.join(names)}"
        )
    rows = tuple(_row(cells, line, places, labels) for line in cells.lines)
    if labels:
        classes = tuple(names[place] for place in labels)
    else:
        classes = _classes({str(row.label) for row in rows} - {""})
    if len(classes) < 2:
        raise InputError(
            f"expected at least two classes in {path}, got {', '.join(classes) or 'none'}"
        )
    for name in classes:
        require_plain(name)
    return Table(
        path,
        classes,
        rows,
        names[places["group"]] if "group" in places else None,
        multi_label=bool(labels),
    )


def read_files(path: Path) -> dict[int, str]:
    """The files that a CSV lists, by the numbers of their lines; other columns do not matter.

    Args:
        path: of the CSV, in UTF-8.

    Raises:
        InputError: it cannot be read, or it has no column `file`.
    """
    cells = _read(path)
    place = _places(cells, None)["file"]
    return {line: cells.parsed(line, place, _text, "the name of a file") for line in cells.lines}


def _read(path: Path) -> _Cells:
    try:
        if path.stat().st_size > MOST_BYTES:
            raise InputError(f"expected a CSV of at most {MOST_BYTES} bytes; {path} is larger")
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"expected a CSV in UTF-8, but {path} cannot be read: {error}") from None
    head = text.lstrip().partition("\n")[0]
    separator = max(SEPARATORS, key=head.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    rows: dict[int, list[str]] = {}
    try:
        for row in reader:
            if any(cell.strip() for cell in row):
                rows[reader.line_num] = [cell.strip() for cell in row]
    except csv.Error as error:
        raise InputError(f"{path}, line {reader.line_num}: {error}") from None
    if len(rows) < 2:
        raise InputError(f"expected the names of columns, and a line for each picture, in {path}")
    names = rows.pop(next(iter(rows)))
    for line, row in rows.items():
        if len(row) != len(names):
            raise InputError(
                f"{path}, line {line}: expected {len(names)} cells, as many as columns have names; "
                f"got {len(row)}"
            )
    return _Cells(path, names, rows)


def _places(cells: _Cells, group: str | None) -> dict[str, int]:
    """Where each known column is."""
    path, names = cells.path, cells.names
    lowered = [name.lower() for name in names]
    for name in lowered:
        if not name or lowered.count(name) > 1:
            raise InputError(f"expected columns of different names in {path}, got {names}")
    places = {}
    for column, known in COLUMNS.items():
        if column == "group" and group is not None:
            known = (group.lower(),)
        found = [name for name in known if name in lowered]
        if len(found) > 1:
            raise InputError(f"expected one column `{column}` in {path}, got {', '.join(found)}")
        if found:
            places[column] = lowered.index(found[0])
    for column in ("file", *(("group",) if group is not None else ())):
        if column not in places:
            wanted = group if column == "group" else column
            raise InputError(
                f"expected a column {wanted!r} in {path}; its columns are {', '.join(names)}"
            )
    return places


def _row(cells: _Cells, line: int, places: dict[str, int], labels: list[int]) -> Row:
    def known(column: str, parse: Callable[[str], Value], wanted: str) -> Value | None:
        if column not in places:
            return None
        return cells.parsed(line, places[column], parse, wanted)

    weight = known("weight", _weight, "a number that is not below 0")
    return Row(
        line,
        cells.parsed(line, places["file"], _text, "the name of a file"),
        tuple(cells.parsed(line, place, BINARY.__getitem__, BINARY_WANTED) for place in labels)
        or cells.lines[line][places["label"]],
        known("group", _text, "the name of a group"),
        known("split", _split, f"one of {', '.join(SPLIT_NAMES)}"),
        1.0 if weight is None else weight,
    )


def _text(cell: str) -> str:
    if not cell:
        raise ValueError
    return cell


def _split(cell: str) -> Split:
    return SPLIT_NAMES[cell.lower()]


def _weight(cell: str) -> float:
    weight = float(cell)
    if not (math.isfinite(weight) and weight >= 0):
        raise ValueError
    return weight


def _classes(found: set[str]) -> tuple[str, ...]:
    """Sorted as numbers if all of them are numbers."""
    if all(name.isdecimal() for name in found):
        return tuple(sorted(found, key=lambda name: (int(name), name)))
    return tuple(sorted(found))
