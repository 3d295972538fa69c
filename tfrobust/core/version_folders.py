"""Version folders as TF Serving wants them: `<directory>/<integer>/`, each appearing whole.

A version is written into `<integer>.tmp`, which TF Serving overlooks, and renamed when done. The
writer holds a lock on that folder; a `.tmp` folder without a lock is what a killed writer left.
"""

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from tfrobust.core.files import lock
from tfrobust.errors import InputError

STAGING_SUFFIX = ".tmp"


def numbers(directory: Path) -> list[int]:
    """The version numbers taken in a directory, in rising order; other names say nothing.

    Args:
        directory: a folder, or a path where nothing is yet.

    Returns:
        The numbers; empty where there is none.
    """
    if not directory.is_dir():
        return []
    return sorted(int(entry.name) for entry in directory.iterdir() if _is_number(entry.name))


@contextlib.contextmanager
def staging(directory: Path) -> Iterator[Path]:
    """A new folder to write a version into; taken away again if the body fails.

    Args:
        directory: where the versions are; made if missing.

    Yields:
        `<directory>/<integer>.tmp`, empty and locked. The body ends by renaming it.

    Raises:
        InputError: the directory cannot be written.
    """
    missing = [folder for folder in (directory, *directory.parents) if not folder.exists()]
    try:
        directory.mkdir(parents=True, exist_ok=True)
        _remove_stale(directory)
        folder, descriptor = _locked_folder(directory)
    except OSError as error:
        _remove_empty(missing)
        raise InputError(
            f"expected a folder that can be written at {directory}, but: {error}"
        ) from None
    try:
        yield folder
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        _remove_empty(missing)
        raise
    finally:
        os.close(descriptor)


def rename(folder: Path, version: int) -> bool:
    """Makes a staging folder the version.

    Args:
        folder: what `staging` gave.
        version: the number, at least 1.

    Returns:
        Whether it is done; False if the number was taken meanwhile.
    """
    target = folder.with_name(str(version))
    try:
        os.rename(folder, target)
    except OSError:
        if target.exists():
            return False
        raise
    return True


def _is_number(name: str) -> bool:
    return name.isascii() and name.isdecimal()


def _locked_folder(directory: Path) -> tuple[Path, int]:
    number = max(numbers(directory), default=0) + 1
    while True:
        folder = directory / f"{number}{STAGING_SUFFIX}"
        try:
            folder.mkdir()
        except FileExistsError:
            number += 1  # another export is at work there
            continue
        if (descriptor := lock(folder)) is not None:
            return folder, descriptor


def _remove_stale(directory: Path) -> None:
    for folder in directory.glob(f"*{STAGING_SUFFIX}"):
        ours = _is_number(folder.name.removesuffix(STAGING_SUFFIX))
        if ours and folder.is_dir() and not folder.is_symlink():
            descriptor = lock(folder)
            if descriptor is not None:
                shutil.rmtree(folder, ignore_errors=True)
                os.close(descriptor)


def _remove_empty(folders: list[Path]) -> None:
    for folder in folders:
        with contextlib.suppress(OSError):
            folder.rmdir()
