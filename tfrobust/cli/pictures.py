"""Reads the pictures that a program's flags name, and tells what was done to them."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tfrobust.datasets import pictures
from tfrobust.datasets.headers import SUFFIXES
from tfrobust.datasets.resizing import fit
from tfrobust.errors import InputError


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
                f"expected --image to be a readable picture; {path} is not: {_flags(error)}"
            ) from None


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
            note(f"left out, unreadable: {file}: {_flags(error)}")
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


def read(paths: Sequence[Path], shape: tuple[int, int, int], values: Any) -> np.ndarray:
    """Reads pictures in a network's size.

    Args:
        paths: readable pictures.
        shape: height, width and channels of the result.
        values: the flags --bits, --frame and --fit.

    Returns:
        float32 (N, H, W, C) in [0, 1].

    Raises:
        InputError: a picture is damaged, or `bits` is needed or wrong.
    """
    images = []
    for path in paths:
        try:
            picture = pictures.read(path, shape[2], bits=values.bits, frame=values.frame)
        except pictures.PictureError as error:
            raise InputError(f"{path} cannot be read: {_flags(error)}") from None
        if picture.shape[:2] != shape[:2]:
            part = "its middle" if values.fit == "crop" else "all of it, between margins,"
            note(
                f"note: {path} has {picture.shape[0]} × {picture.shape[1]} pixels; {part} is "
                f"resized to the network's {shape[0]} × {shape[1]}"
            )
        if pictures.inspect(path, frame=values.frame).transparent:
            note(f"note: {path} has transparent pixels; they are laid on white")
        images.append(fit(picture, shape[:2], values.fit))
    return np.stack(images).astype(np.float32) / 255


def _flags(error: pictures.PictureError) -> str:
    """What an error says, with flags for arguments."""
    return str(error).replace("`bits`", "--bits").replace("`frame`", "--frame")


def note(text: str) -> None:
    """Prints a line for the user beside the program's output."""
    print(text, file=sys.stderr)
