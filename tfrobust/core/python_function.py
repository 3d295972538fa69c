"""Models by the name of something in a Python module."""

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras

from tfrobust.core.classifier import Classifier
from tfrobust.core.door import as_classifier
from tfrobust.core.opaque import Opaque
from tfrobust.core.shipped import PREFIX
from tfrobust.core.torch_module import is_torch
from tfrobust.errors import InputError, reason_of


def read(name: str) -> keras.Model | Classifier:
    """The network of that name: of Keras or PyTorch, a `Classifier`, a function of NumPy images.

    Args:
        name: "python:package.module:function", of an installed module or one in this folder.

    Returns:
        A Keras model or a `Classifier` as it is, a PyTorch module as `Classifier`, and a function
        as `Opaque`.

    Raises:
        InputError: there is no such function.
    """
    function = find(name)
    if isinstance(function, keras.Model | Classifier):
        return function
    if is_torch(function):
        return as_classifier(function)
    return Opaque(function, name=name.rpartition(":")[2])


def find(name: str) -> Callable[..., Any]:
    """Finds the Python function that a name means.

    Importing a module runs it: name only what you trust.

    Args:
        name: "python:package.module:function", of an installed module or one in this folder.

    Raises:
        InputError: there is no such function.
    """
    expected = f"expected {PREFIX}package.module:function, got {name!r}"
    module, _, attribute = name.removeprefix(PREFIX).partition(":")
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        function = getattr(importlib.import_module(module), attribute)
    except Exception as error:  # a user's module may raise anything
        raise InputError(f"{expected}: {reason_of(error)}") from None
    if not callable(function):
        raise InputError(f"{expected}, which is a {type(function).__name__}")
    return function
