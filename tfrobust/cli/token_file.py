"""The shared token of a server and its clients, from a file: a command line can be seen by all."""

from pathlib import Path

from tfrobust.errors import InputError


def read(file: str | None) -> str | None:
    """The first line of the file.

    Args:
        file: its path; None for no token.

    Raises:
        InputError: it cannot be read.
    """
    if file is None:
        return None
    try:
        return Path(file).read_text().partition("\n")[0].strip()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"expected --token_file with a token in it: {error}") from None
