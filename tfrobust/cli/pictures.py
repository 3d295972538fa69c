"""Reads the pictures that a program's flags name, and tells what was done to them."""

import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tfrobust.datasets import pictures
from tfrobust.datasets.folder_scan import files_below, shown
from tfrobust.datasets.headers import SUFFIXES
from tfrobust.datasets.labels_scan import find_listed
from tfrobust.datasets.resizing import fit
from tfrobust.errors import InputError
from tfrobust.reports.overlay import Original


def check(paths: Sequence[Path], frame: int | None = None) -> None:
    """Refuses files that are no readable pictures, before TensorFlow is imported.

    Args:
        paths: the files.
        frame: which frame of DICOM files is wanted, from 1; None for the only one.

    Raises:
        InputError: names the first such file.
    """
    for path in paths:
        try:
            pictures.inspect(path, frame=frame)
        except pictures.PictureError as error:
            raise InputError(
                f"expected --image to be a readable picture; {path} is not: {with_flags(error)}"
            ) from None


def check_output(output: Path, names: Sequence[str]) -> None:
    """Refuses to write over a folder, or over what --image names.

    Args:
        output: the file to write.
        names: what --image says.

    Raises:
        InputError: it is a folder or one of them.
    """
    if output.is_dir():
        raise InputError(f"expected --output to be a file to write, but {output} is a folder")
    if output.resolve() in [Path(name).resolve() for name in names]:
        raise InputError(f"expected --output to be another file than --image, got {output} twice")


def readable(path: Path, most: int, frame: int | None = None) -> list[Path]:
    """The pictures that --image means: one file, or the first ones of a folder.

    Files of a folder that cannot be read are left out, with a notice.

    Args:
        path: a file or a folder.
        most: how many pictures of a folder to take.
        frame: as for `check`.

    Raises:
        InputError: the file is no readable picture, or the folder has none.
    """
    if not path.is_dir():
        check([path], frame)
        return [path]
    files = sorted(file for file in path.iterdir() if file.suffix.lower() in SUFFIXES)
    found: list[Path] = []
    for file in files:
        if len(found) == most:
            break
        try:
            pictures.inspect(file, frame=frame)
        except pictures.PictureError as error:
            note(f"left out, unreadable: {file}: {with_flags(error)}")
        else:
            found.append(file)
    if not found:
        raise InputError(f"expected pictures in {path}; there is none to read")
    if len(files) > len(found):
        note(
            f"note: {path} has {len(files)} pictures, of which {len(found)} are explained; "
            "--images takes more"
        )
    return found


def listed(names: Sequence[str]) -> list[tuple[str, Path | None]]:
    """The pictures that --image means, where many are meant: files, a folder, or a CSV.

    Args:
        names: of files; or of one folder, with all that is below it; or of one CSV with a column
            `file`, whose names are relative to the CSV.

    Returns:
        For each its name, and where it is; None if a CSV lists a file that is not there.

    Raises:
        InputError: a file is no readable picture, or there is none.
    """
    first = Path(names[0])
    found: list[tuple[str, Path | None]]
    if len(names) == 1 and first.suffix.lower() == ".csv":
        found = [(shown(name), path) for name, path in find_listed(first)]
    elif len(names) == 1 and first.is_dir():
        passed_over: Counter[str] = Counter()
        files = [Path(file) for file in files_below(str(first), passed_over)]
        found = [
            (shown(file.relative_to(first).as_posix()), file)
            for file in files
            if file.suffix.lower() in SUFFIXES
        ]
        others = len(files) - len(found) + sum(passed_over.values())
        if others:
            note(f"note: {others} files of {first} are no pictures by their names")
    else:
        check([Path(name) for name in names])
        found = [(shown(name), Path(name)) for name in names]
    if not found:
        raise InputError(f"expected pictures in {first}; there is none to read")
    return found


def originals(paths: Sequence[Path], shape: tuple[int, int, int], values: Any) -> list[Original]:
    """Reads pictures as they are.

    Args:
        paths: readable pictures.
        shape: height, width and channels that the network takes. The pictures have its channels.
        values: the flags --bits, --frame and --fit.

    Raises:
        InputError: a picture is damaged, or `bits` is needed or wrong.
    """
    found = []
    for path in paths:
        try:
            picture = pictures.read(path, shape[2], bits=values.bits, frame=values.frame)
        except pictures.PictureError as error:
            raise InputError(f"{path} cannot be read: {with_flags(error)}") from None
        if picture.shape[:2] != shape[:2]:
            part = "its middle" if values.fit == "crop" else "all of it, between margins,"
            note(
                f"note: {path} has {picture.shape[0]} × {picture.shape[1]} pixels; {part} is "
                f"resized to the network's {shape[0]} × {shape[1]}"
            )
        header = pictures.inspect(path, frame=values.frame)
        if header.transparent:
            note(f"note: {path} has transparent pixels; they are laid on white")
        deep = header.depth > 8 and not header.windowed
        levels = 2 ** (header.significant_bits or values.bits or header.depth) - 1 if deep else 255
        found.append(Original(shown(path.name), picture, values.fit, levels))
    return found


def fitted(found: Sequence[Original], shape: tuple[int, int, int]) -> np.ndarray:
    """Pictures in a network's size: float32 (N, H, W, C) in [0, 1].

    Args:
        found: at least one.
        shape: height, width and channels of the result.
    """
    images = [fit(original.pixels, shape[:2], original.fit) for original in found]
    return np.stack(images).astype(np.float32) / 255


def with_flags(problem: object) -> str:
    """What an error says, with flags for arguments."""
    return str(problem).replace("`bits`", "--bits").replace("`frame`", "--frame")


def note(text: str) -> None:
    """Prints a line for the user beside the program's output."""
    print(text, file=sys.stderr)
