"""Files that are there whole or not at all, and locks that end with the process."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from tfrobust.errors import InputError


def write_atomically(path: str | Path, content: bytes) -> None:
    """Writes a file so that no reader ever sees half of it.

    The content goes into a temporary file beside the path, which is then renamed.

    Args:
        path: the file. Its folder is made if there is none; an older file is replaced.
        content: what to write.

    Raises:
        InputError: the file cannot be written there.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            temporary.write_bytes(content)
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise InputError(
            f"expected to write {path}, got: {error.strerror or error}; "
            "choose a folder that you may write to, with room left"
        ) from error


def check_utf8(text: str) -> None:
    """Refuses text that files, JSON and a terminal cannot hold.

    Args:
        text: such as the name of a folder, which need not be UTF-8 on the disk.

    Raises:
        InputError: it shows the place.
    """
    try:
        text.encode()
    except UnicodeEncodeError as error:
        near = ascii(text[max(error.start - 20, 0) : error.end + 20])
        raise InputError(
            f"expected text in UTF-8, which reports and JSON can hold, got {near}; rename what is "
            "called so, or name a link to it"
        ) from None


@contextlib.contextmanager
def alone(path: Path) -> Iterator[None]:
    """Within it, no other process that asks the same way works on a file.

    Args:
        path: of the file, which need not be there yet. A lock lies beside it meanwhile.

    Raises:
        InputError: another process works on it.
    """
    beside = path.with_name(f".{path.name}.lock")
    path.parent.mkdir(parents=True, exist_ok=True)
    beside.touch()
    if (descriptor := lock(beside)) is None:
        raise InputError(f"{path} is in use by another process; wait for it, or name another file")
    try:
        yield
    finally:
        beside.unlink(missing_ok=True)
        os.close(descriptor)


def lock(path: Path) -> int | None:
    """Locks a file or a folder against other processes, without waiting.

    The operating system holds the lock for the descriptor that is returned. It lets go when the
    descriptor is closed or the process ends, however it ends, so no stale lock is ever left.

    Args:
        path: an existing file or folder. A folder itself can be locked, so that nothing needs
            to lie in it; some network file systems lock files only.

    Returns:
        A descriptor for `os.close`; None if another process holds the lock, or if the path is
        gone, or was replaced before it was locked.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Between opening and locking, another process may have removed what lay here.
        if os.path.samestat(os.fstat(descriptor), os.stat(path)):
            return descriptor
    except (BlockingIOError, FileNotFoundError):
        pass
    os.close(descriptor)
    return None
