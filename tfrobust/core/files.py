"""Files that are there whole or not at all."""

import os
from pathlib import Path

from tfrobust.errors import InputError


def write_atomically(path: str | Path, content: bytes) -> None:
    """Writes under a temporary name beside the file, then renames, so that no reader sees half.

    Args:
        path: the file; its folder is made if absent, what was there is replaced.
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
