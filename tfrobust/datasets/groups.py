"""Groups of pictures, such as those of one patient, which must not lie on both sides of a split.

A group's name may be a patient's, so neither errors nor reports tell it; they name files.
"""

import dataclasses
import os
import re
from collections import defaultdict
from collections.abc import Sequence
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Literal, NamedTuple

from tfrobust.datasets import dicom
from tfrobust.datasets.folder_scan import Folder, Picture
from tfrobust.datasets.headers import SUFFIXES, PictureError
from tfrobust.datasets.labels_table import Table, read_table
from tfrobust.datasets.left_out import LeftOut
from tfrobust.datasets.survey import each
from tfrobust.errors import InputError

FORMS = "column:NAME of a CSV, dicom:PatientID, pattern:REGEX of file names, or none"
PATIENT = "PatientID"
SEPARATORS = r"[-_. ]+"
# A folder of more pictures than this is hardly one patient.
MOST_OF_A_PATIENT = 50


class Way(NamedTuple):
    """How pictures are grouped.

    Args:
        kind: by a column of the CSV, an element of DICOM, a pattern of file names, or not at all.
        value: the column, the element's keyword, or the pattern.
    """

    kind: Literal["column", "dicom", "pattern", "none"]
    value: str = ""


def parse_way(group: str | None) -> Way | None:
    """Reads what the user says about groups.

    Args:
        group: "column:NAME", "dicom:KEYWORD", "pattern:REGEX" or "none"; None if nothing.

    Raises:
        InputError: it is none of these, the pattern is none, or DICOM has no such element.
    """
    if group is None:
        return None
    kind, _, value = group.partition(":")
    if kind == "dicom":
        value = value or PATIENT
        try:
            known = dicom.is_keyword(value)
        except PictureError as error:
            raise InputError(
                f"expected groups by {group}, but they need pydicom: {error}"
            ) from None
        if not known:
            raise InputError(f"expected `group` to name an element of DICOM, got {value!r}")
        return Way("dicom", value)
    if kind == "pattern" and value:
        try:
            re.compile(value)
        except re.error as error:
            raise InputError(
                f"expected `group` to be a regular expression, got {value!r}: {error}"
            ) from None
        return Way("pattern", value)
    if kind == "column" and value:
        return Way("column", value)
    if group == "none":
        return Way("none")
    raise InputError(f"expected `group` to be {FORMS}; got {group!r}")


def read_labels(
    labels: str | os.PathLike[str] | None, group: str | None
) -> tuple[Table | None, Way | None]:
    """Reads what a CSV and the user say of labels and groups. It needs no TensorFlow.

    Args:
        labels: the CSV; None if there is none.
        group: as for `parse_way`.

    Raises:
        InputError: as `labels_table.read_table` and `parse_way`, or a column is named and there is
            no CSV.
    """
    way = parse_way(group)
    column = way.value if way is not None and way.kind == "column" else None
    if labels is not None:
        return read_table(Path(labels).expanduser(), column), way
    if column is not None:
        raise InputError("expected `labels`, a CSV, where `group` is one of its columns")
    return None, way


def grouped(folder: Folder, pictures: Sequence[Picture], way: Way | None) -> Folder:
    """Groups pictures.

    Where nothing is said, a CSV's column of groups counts, and else DICOM's PatientID, if it tells
    pictures apart.

    Args:
        folder: where they lie.
        pictures: the readable ones.
        way: from `parse_way`; None where the user says nothing.

    Returns:
        The folder with these pictures alone, in their groups, and notes about them.

    Raises:
        InputError: a picture has no such group, or folders or the CSV put pictures of one group on
            both sides.
    """
    if way is not None and way.kind in ("dicom", "pattern"):
        found = _by(way, pictures)
        unknown = [picture.name for picture, name in zip(pictures, found, strict=True) if not name]
        if unknown:
            raise InputError(
                f"expected a group for every picture by `group` = {way.kind}:{way.value}; "
                f"{len(unknown)} have none, such as {', '.join(unknown[:3])}"
            )
        told = f"DICOM's {way.value}" if way.kind == "dicom" else "file names"
        folder = _with_groups(folder, pictures, found, told)
    elif way is not None and way.kind == "none":
        folder = _with_groups(folder, pictures, [None] * len(pictures), None)
    else:
        folder = dataclasses.replace(folder, pictures=tuple(pictures))
        if folder.grouped_by is None:
            folder = _by_default(folder, pictures)
    _refuse_leak(folder)
    return folder


def number_of_groups(pictures: Sequence[Picture]) -> int:
    """How many groups there are; a picture without one counts as its own."""
    return len({picture.group for picture in pictures if picture.group is not None}) + sum(
        picture.group is None for picture in pictures
    )


def numbered(pictures: Sequence[Picture]) -> tuple[str, ...]:
    """Names for the groups of pictures that tell nobody a patient's: "group 1", "group 2", …

    Args:
        pictures: in any order. One without a group is a group of its own.

    Returns:
        A name for each picture; none at all if no picture is in a group.
    """
    if all(picture.group is None for picture in pictures):
        return ()
    keys = [(one.group, one.name if one.group is None else "") for one in pictures]
    numbers = {key: number for number, key in enumerate(dict.fromkeys(keys), 1)}
    return tuple(f"group {numbers[key]}" for key in keys)


def looks_repeated(folder: Folder, pictures: Sequence[Picture]) -> tuple[str, str] | None:
    """Whether file names look as if several pictures were of one patient.

    They do if most of them begin with a number that others have too: 00000013_005.png,
    patient7-left.png, p01/study2/view1.png.

    Args:
        folder: where they lie.
        pictures: with the splits that the user decides; None where the split is still to come.

    Returns:
        Two such names; None if there are none, or the user keeps them on one side.
    """
    for of_name in (_number_in_name, _number_in_folder):
        names: dict[str, list[Picture]] = defaultdict(list)
        for picture in pictures:
            parts = PurePosixPath(picture.name).parts
            if folder.table is None:
                # What a class is called says nothing about a picture.
                parts = parts[parts.index(folder.class_names[picture.classes[0]]) + 1 :]
            if number := of_name(parts):
                names[number].append(picture)
        repeated = [some for some in names.values() if len(some) > 1]
        if 2 * sum(map(len, repeated)) < len(pictures):
            continue
        if len(names) < 2 or len(names) * MOST_OF_A_PATIENT < len(pictures):
            continue
        for some in repeated:
            for other in some[1:]:
                if other.split is None or other.split != some[0].split:
                    return some[0].name, other.name
    return None


def _by(way: Way, pictures: Sequence[Picture]) -> list[str | None]:
    """The groups' names; None where there is none."""
    if way.kind == "pattern":
        matches = [re.search(way.value, picture.name) for picture in pictures]
        return [
            match and ("\0".join(map(str, match.groups())) if match.groups() else match[0])
            for match in matches
        ]
    # What cannot be read at all is left out later and named.
    read = each(partial(_element, way.value), pictures, LeftOut())
    found = {picture.name: text or None for picture, text in read}
    return [found.get(picture.name) for picture in pictures]


def _element(keyword: str, path: Path) -> str:
    with path.open("rb") as file:
        return dicom.text_of(file, keyword) if dicom.is_dicom(file) else ""


def _by_default(folder: Folder, pictures: Sequence[Picture]) -> Folder:
    """Groups by DICOM's PatientID, if there are DICOM files whose PatientID tells them apart."""
    medical = [
        one
        for one in pictures
        if (suffix := one.path.suffix.lower()) in dicom.SUFFIXES or suffix not in SUFFIXES
    ]
    found = _by(Way("dicom", PATIENT), medical) if medical else []
    notes = list(folder.notes)
    if len(set(found) - {None}) > 1:
        names = {picture.name: group for picture, group in zip(medical, found, strict=True)}
        groups = [names.get(picture.name) for picture in pictures]
        folder = _with_groups(folder, pictures, groups, f"DICOM's {PATIENT}")
        if unknown := found.count(None):
            notes.append(
                f"{unknown} of {len(found)} DICOM files say no {PATIENT}; each of them counts as a "
                "patient of its own"
            )
    elif len(medical) > 1:
        notes.append(f"the DICOM files do not say a {PATIENT} that tells patients apart")
    alone = [picture for picture in folder.pictures if picture.group is None]
    if names_of_two := looks_repeated(folder, alone):
        notes.append(
            f"file names look as if several pictures were of one patient ({names_of_two[0]} and "
            f"{names_of_two[1]}). If they lie on both sides of the split, the figures are too "
            f"good. Give `group`: {FORMS}"
        )
    return dataclasses.replace(folder, notes=tuple(notes))


def _with_groups(
    folder: Folder, pictures: Sequence[Picture], groups: Sequence[str | None], told: str | None
) -> Folder:
    return dataclasses.replace(
        folder,
        pictures=tuple(
            dataclasses.replace(picture, group=group)
            for picture, group in zip(pictures, groups, strict=True)
        ),
        grouped_by=told,
    )


def _refuse_leak(folder: Folder) -> None:
    """Refuses what the user put on both sides though it is of one group."""
    first: dict[str, Picture] = {}
    for picture in folder.pictures:
        if picture.group is None:
            continue
        other = first.setdefault(picture.group, picture)
        if other.split != picture.split:
            raise InputError(
                f"{other.name} is for {other.split} and {picture.name} for {picture.split}, but "
                f"both are of one group by {folder.grouped_by}. Put them on one side, or "
                "say `group` = none"
            )


def _number_in_name(path: Sequence[str]) -> str | None:
    """A file name up to its first part with a digit, if another part follows."""
    parts = re.split(SEPARATORS, PurePosixPath(path[-1]).stem)
    for place, part in enumerate(parts[:-1]):
        if re.search(r"\d", part):
            return "_".join(parts[: place + 1])
    return None


def _number_in_folder(path: Sequence[str]) -> str | None:
    """The folders up to the first with a digit in its name."""
    for place, part in enumerate(path[:-1]):
        if re.search(r"\d", part):
            return "/".join(path[: place + 1])
    return None
