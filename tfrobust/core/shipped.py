"""Where the networks are that come with the package."""

import site
import sys
from pathlib import Path

from tfrobust.core import version_folders as versions
from tfrobust.errors import InputError

# In a clone; and where pip puts them, for an environment and by --user.
FOLDERS = (
    Path(__file__).resolve().parents[2] / "saved_models",
    *(
        Path(base) / "share" / "tfrobust" / "saved_models"
        for base in (sys.prefix, site.getuserbase())
    ),
)


def networks() -> dict[str, Path]:
    """Name → folder of its first version, which is the one that is shipped."""
    return {
        model.name: model / "1"
        for folder in reversed(FOLDERS)
        if folder.is_dir()
        for model in sorted(folder.iterdir())
        if 1 in versions.numbers(model)
    }


def find(path: str, expected: str) -> Path:
    """A path, or else the shipped network of that name.

    Args:
        path: of a file or folder, or a name such as "cifar10"; what lies there goes first.
        expected: what else the caller takes, for the complaint.

    Returns:
        A path that exists.

    Raises:
        InputError: there is neither.
    """
    if Path(path).exists():
        return Path(path)
    known = networks()
    if path not in known:
        names = ", ".join(sorted(known)) or "none"
        raise InputError(f"expected {expected}, or a shipped network's name ({names}); got {path}")
    return known[path]
