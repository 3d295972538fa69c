"""The files that a configured network is made from. No TensorFlow here."""

import importlib.util
import sys
from pathlib import Path

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


def digests(config: NetworkConfig) -> dict[str, str]:
    """What tells that a file has changed under its name.

    Args:
        config: of the network, whose files are there.

    Returns:
        Field → SHA-256 of its file. Of a Python function it is that of its module.
    """
    return {field: file_hashes(path)[path.name] for field, path in _files(config).items()}


def _files(config: NetworkConfig) -> dict[str, Path]:
    found = {}
    if Path(config.architecture).suffix in NETWORK_FILES:
        found["network.architecture"] = Path(config.architecture)
    elif config.architecture.startswith(PREFIX):
        module = config.architecture.removeprefix(PREFIX).partition(":")[0]
        if str(Path.cwd()) not in sys.path:
            sys.path.insert(0, str(Path.cwd()))
        try:
            spec = importlib.util.find_spec(module)
        except Exception:  # a package that the module is in may raise anything
            spec = None  # what is wrong is said where the function is looked up
        if spec is not None and spec.has_location and spec.origin:
            found["network.architecture"] = Path(spec.origin)
    if config.weights not in (None, IMAGENET):
        found["network.weights"] = Path(config.weights)
    return found
