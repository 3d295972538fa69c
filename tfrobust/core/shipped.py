"""Where networks are: at a path, at an address, or with the package."""

import site
import sys
from pathlib import Path

from tfrobust.core import remote
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
# What begins the name of a Python function, as in "python:package.module:function".
PREFIX = "python:"
EXPECTED = (
    "a .keras, .h5 or .onnx file, a SavedModel's folder, a folder of versions such as "
    f"saved_models/fashion_mnist_mini, {remote.EXPECTED}, {PREFIX}module:function"
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


def find(model: str | Path) -> Path:
    """Where a network is.

    Args:
        model: a path, or the name of a network that comes with the package, such as "cifar10".
            What lies at the path goes first. From an address it is fetched (see `remote.fetch`).

    Returns:
        A path that exists.

    Raises:
        InputError: there is nothing of the kind.
    """
    if remote.is_address(model):
        return remote.fetch(str(model))
    if Path(model).exists():
        return Path(model)
    known = networks()
    if str(model) not in known:
        names = ", ".join(sorted(known)) or "none is here"
        raise InputError(
            f"expected {EXPECTED}, or the name of a network that comes with the package "
            f"({names}); there is nothing at {model}"
        )
    return known[str(model)]
