"""The shared token of a server and its clients, from a file: a command line can be seen by all."""

from pathlib import Path

from tfrobust.errors import InputError


def read(file: str | None) -> str | None:
    """The first line of the file.

    Args:
        file: its path; None for no token.

    Raises:
        InputError: it cannot be read, or its first line is empty.
    """
    if file is None:
        return None
    try:
        token = Path(file).read_text().partition("\n")[0].strip()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"expected --token_file with a token in it: {error}") from None
    if not token:
        raise InputError(
            f"expected --token_file with a token in it; the first line of {file} is empty"
        )
    return token
