"""The configuration of an object in JSON types: what it is, and with which hyper-parameters.

Equality, resuming and reports rest on it, so it is the same in every process that makes the same
object: it holds no memory address. Arrays and networks are told apart by a hash.
"""

import functools
import hashlib
import json
import math
import os
import types
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np


class Configured:
    """An object that is told apart by its class and its hyper-parameters.

    Its hyper-parameters are its public attributes. What it only remembers while it works belongs
    into attributes whose names begin with an underscore.
    """

    def config(self) -> dict[str, Any]:
        """The class's name, as "class", and every hyper-parameter, in JSON types.

        Returns:
            Strings, numbers, booleans, None, lists and dictionaries of these. Hyper-parameters
            that have a `config` of their own are told by it. Tuples are lists. An array is
            told by its shape, its type and a hash of its values, a network by a hash of its
            structure and one of its weights, a function by its name and a hash of its code.
        """
        return _of_object(self, ())

    def __eq__(self, other: object) -> bool:
        """Whether the other is of the same class with the same hyper-parameters."""
        return self is other or (
            isinstance(other, Configured)
            and type(self) is type(other)
            and self.config() == other.config()
        )

    def __hash__(self) -> int:
        return hash(json.dumps(self.config(), sort_keys=True))


def config_of(value: Any) -> Any:
    """The configuration of any hyper-parameter.

    Args:
        value: a number, a string, an array, a function, a network, or a container or an object
            of these.

    Returns:
        What describes it, in JSON types: see `Configured.config`.
    """
    return _config(value, ())


def _config(value: Any, inside: tuple[int, ...]) -> Any:
    """`config_of`, inside the objects with these ids."""
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        # JSON has no word for infinity and NaN.
        return value if math.isfinite(value) else str(value)
    if isinstance(value, bytes):
        return {"class": "bytes", "sha256": hashlib.sha256(value).hexdigest()}
    if isinstance(value, type):
        return f"{value.__module__}.{value.__qualname__}"
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if id(value) in inside:
        return "itself"
    inside = (*inside, id(value))
    if isinstance(value, Mapping):
        return {str(name): _config(one, inside) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_config(one, inside) for one in value]
    if isinstance(value, set | frozenset):
        return sorted((_config(one, inside) for one in value), key=json.dumps)
    if hasattr(value, "__array__"):
        values = np.asarray(value)
        return _config(values.tolist(), inside) if values.dtype.hasobject else _of_array(values)
    if callable(getattr(value, "config", None)):
        return value.config()
    if hasattr(value, "get_config") and hasattr(value, "weights"):
        return _of_network(value)
    if isinstance(value, types.CodeType):
        return [
            value.co_code.hex(),
            list(value.co_names),
            [_config(one, inside) for one in value.co_consts],
        ]
    if isinstance(value, functools.partial):
        parts = (value.func, value.args, value.keywords)
        return {"class": "partial", "of": _config(parts, inside)}
    if isinstance(value, types.MethodType):
        return {"method": value.__name__, "of": _config(value.__self__, inside)}
    if hasattr(value, "python_function"):  # a tf.function
        return _config(value.python_function, inside)
    if isinstance(value, types.FunctionType):
        return _of_function(value, inside)
    return _of_object(value, inside)


def _of_object(value: Any, inside: tuple[int, ...]) -> dict[str, Any]:
    """By its class and its public attributes."""
    described = {"class": type(value).__name__}
    if hasattr(value, "__name__"):  # a function that is not Python's
        described["name"] = value.__name__
    inside = (*inside, id(value))
    if hasattr(value, "__wrapped__"):  # a decorated function, such as tf.custom_gradient makes
        described["wrapped"] = _config(value.__wrapped__, inside)
    for name, one in getattr(value, "__dict__", {}).items():
        if not name.startswith("_"):
            described[name] = _config(one, inside)
    return described


def _of_array(values: np.ndarray) -> dict[str, Any]:
    digest = hashlib.sha256(np.ascontiguousarray(values).tobytes())
    return {"shape": list(values.shape), "dtype": values.dtype.name, "sha256": digest.hexdigest()}


def _of_function(function: types.FunctionType, inside: tuple[int, ...]) -> dict[str, Any]:
    """By its name and by a hash of its code, its defaults and what it closes over."""
    cells = [cell.cell_contents for cell in function.__closure__ or ()]
    parts = (function.__code__, function.__defaults__, function.__kwdefaults__, cells)
    digest = hashlib.sha256(json.dumps(_config(parts, inside)).encode())
    name = f"{function.__module__}.{function.__qualname__}"
    return {"function": name, "sha256": digest.hexdigest()}


def _of_network(network: Any) -> dict[str, Any]:
    """By its class, and by hashes of its structure and of its weights.

    Names are no part of the structure: Keras counts layers on within a process, so that the same
    network made again has other names.
    """
    weights = hashlib.sha256()
    for weight in network.weights:
        weights.update(json.dumps(_of_array(np.asarray(weight))).encode())
    try:
        config = network.get_config()
    except NotImplementedError:  # a subclass of keras.Model that cannot be saved
        config = {}
    structure = json.dumps(config, sort_keys=True, default=lambda one: type(one).__name__)
    for number, name in enumerate(dict.fromkeys([network.name, *_names(config)])):
        structure = structure.replace(json.dumps(name), f'"{number}"')
    return {
        "class": type(network).__name__,
        "structure": hashlib.sha256(structure.encode()).hexdigest(),
        "weights": weights.hexdigest(),
    }


def _names(config: Any) -> Iterator[str]:
    """The names of the layers and operations in a Keras configuration."""
    if isinstance(config, dict):
        made = config.get("config")
        name = made.get("name") if isinstance(made, dict) else None
        # A type of numbers has a name as well, which does tell networks apart.
        if isinstance(name, str) and not str(config.get("class_name")).endswith("DTypePolicy"):
            yield name
        config = list(config.values())
    if isinstance(config, list | tuple):
        for one in config:
            yield from _names(one)
