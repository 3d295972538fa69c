"""Reads a published PyTorch checkpoint without running any code that the file may hold."""

import re
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from tfrobust.errors import InputError

STATE = "model_params"  # The authors' files also say how the network was trained.
STUB = "__main__.cifar10_preprocess"  # The files name this function. It is not needed.
# In older versions a file could get past weights_only (CVE-2025-32434, CVE-2026-24747).
SAFE_SINCE = (2, 10)


def read(path: Path) -> dict[str, np.ndarray]:
    """Reads the state dictionary of a published checkpoint.

    PyTorch's weights-only reader is told to accept tensors, plain values, and the name of the one
    function that the authors' files refer to. PyTorch comes with the extra "published" only.

    Args:
        path: a file of torch.save, {"model_params": state dictionary, …}, in the legacy format, as
            the authors published it, or in today's.

    Returns:
        The state's arrays by their names.

    Raises:
        InputError: the file is missing or of another kind, it names another class or function, or
            PyTorch is not installed.
    """
    try:
        with path.open("rb") as file:
            content = _load(file, path)
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error
    state = content.get(STATE) if isinstance(content, dict) else None
    if not isinstance(state, dict):
        raise InputError(f"expected a checkpoint with {STATE!r}, its state, got none in {path}")
    try:
        return {str(name): tensor.detach().numpy() for name, tensor in state.items()}
    except (AttributeError, RuntimeError, TypeError) as error:
        raise InputError(f"expected only plain tensors in the state of {path}: {error}") from error


def _load(file: Any, path: Path) -> Any:
    try:
        import torch
    except ImportError:
        raise InputError(
            f'reading {path.name} takes PyTorch: pip install "tfrobust[published]", or give the '
            "state as an .npz"
        ) from None
    if torch.__version__ < SAFE_SINCE:
        raise InputError(
            f"expected PyTorch 2.10 or newer, whose weights-only reader has no known hole, got "
            f'{torch.__version__}: pip install "tfrobust[published]"'
        )
    try:
        with torch.serialization.safe_globals([(_refuse_call, STUB)]):
            return torch.load(file, map_location="cpu", weights_only=True)
    except OSError:
        raise
    except Exception as error:  # A broken file can raise a dozen kinds.
        if named := re.search(r"GLOBAL (\S+)", str(error)):
            raise InputError(
                f"expected a published checkpoint, which names {STUB} and nothing else, got "
                f"{named[1]} in {path}: not read, as such a file can run code"
            ) from error
        raise InputError(f"expected a PyTorch checkpoint, got {path}: {error}") from error


def _refuse_call(*_: Any) -> NoReturn:
    """Stands for the authors' function. A file may name it, but not call it."""
    raise InputError(f"expected a checkpoint that only names {STUB}, got one that calls it")
