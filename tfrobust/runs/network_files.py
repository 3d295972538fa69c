"""The files that a configured network, or its teacher, is made from. No TensorFlow here."""

import hashlib
import importlib.util
import sys
from pathlib import Path

from tfrobust.core import shipped
from tfrobust.core.provenance import file_hashes
from tfrobust.core.shipped import PREFIX
from tfrobust.errors import InputError
from tfrobust.runs.network_section import IMAGENET, NETWORK_FILES, NetworkConfig


def check(config: NetworkConfig) -> None:
    """Refuses files that are not there.

    Raises:
        InputError: names the field and the file.
    """
    for field, path in _files(config).items():
        if not path.is_file():
            raise InputError(f"expected `{field}` to be a file, but there is nothing at {path}")


def digests(config: NetworkConfig, teacher: str | None = None) -> dict[str, str]:
    """What tells that a file has changed under its name.

    Args:
        config: of the network, whose files are there.
        teacher: of the network's labels, as `tfrobust.load` takes it; None without one.

    Returns:
        Field → SHA-256 of its file. Of a Python function it is that of its module, of a folder one
        of all its files.

    Raises:
        InputError: there is no such teacher.
    """
    files = _files(config)
    if teacher is not None:
        module = teacher.startswith(PREFIX)
        if path := _module_file(teacher) if module else shipped.find(teacher):
            files["soft_labels.teacher"] = path
    return {field: _digest(path) for field, path in files.items()}


def _digest(path: Path) -> str:
    hashes = file_hashes(path)
    if path.is_file():
        return hashes[path.name]
    return hashlib.sha256(repr(sorted(hashes.items())).encode()).hexdigest()


def _files(config: NetworkConfig) -> dict[str, Path]:
    found = {}
    if Path(config.architecture).suffix in NETWORK_FILES:
        found["network.architecture"] = Path(config.architecture)
    elif config.architecture.startswith(PREFIX) and (path := _module_file(config.architecture)):
        found["network.architecture"] = path
    if config.weights not in (None, IMAGENET):
        found["network.weights"] = Path(config.weights)
    return found


def _module_file(function: str) -> Path | None:
    """The file of the module of "python:module:function"; None if there is none to find."""
    module = function.removeprefix(PREFIX).partition(":")[0]
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        spec = importlib.util.find_spec(module)
    except Exception:  # a package that the module is in may raise anything
        return None  # what is wrong is said where the function is looked up
    return Path(spec.origin) if spec is not None and spec.has_location and spec.origin else None
