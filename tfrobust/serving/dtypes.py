"""Types of arrays, as TensorFlow and NumPy name them."""

from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from tfrobust.errors import InputError

# TensorFlow's types, and how NumPy names them.
DTYPES = {
    "DT_FLOAT": "float32",
    "DT_DOUBLE": "float64",
    "DT_HALF": "float16",
    "DT_INT8": "int8",
    "DT_INT16": "int16",
    "DT_INT32": "int32",
    "DT_INT64": "int64",
    "DT_UINT8": "uint8",
    "DT_UINT16": "uint16",
    "DT_UINT32": "uint32",
    "DT_UINT64": "uint64",
    "DT_BOOL": "bool",
    "DT_STRING": "string",
}


def dtype_name(told: str) -> str:
    """NumPy's name of a type, and TensorFlow's own where no array of ours has it.

    Args:
        told: the type as messages name it, such as "DT_FLOAT".
    """
    return DTYPES.get(told, told.removeprefix("DT_").lower())


def check_sent(array: np.ndarray) -> str:
    """NumPy's name of the type of an array that is to be sent.

    Raises:
        InputError: TensorFlow's servers do not take it.
    """
    name = "string" if array.dtype.kind in "OSU" else array.dtype.name
    if name not in DTYPES.values():
        raise InputError(f"expected an array of {', '.join(DTYPES.values())}, got {name}")
    return name


def check_received(name: str) -> None:
    """Refuses a type that no array of ours has.

    Raises:
        ValueError: there is none.
    """
    if name not in DTYPES.values():
        raise ValueError(f"a tensor of {name}, which this client does not read")


def fitted(array: np.ndarray, dtype: DTypeLike) -> np.ndarray:
    """Numbers as another type, which has them all; of a float's digits it may have fewer.

    Raises:
        ValueError: it has not. NumPy's cast would wrap them, or cut them off.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        fitting = array.astype(dtype)
    if fitting.dtype.kind in "biu":
        kept = array == fitting
    else:
        kept = np.isfinite(array) == np.isfinite(fitting)
    if not kept.all():
        raise ValueError(
            f"expected numbers that {fitting.dtype} has, got {array[~kept].ravel()[0]}"
        )
    return fitting


def as_bytes(text: Any) -> bytes:
    """Bytes as they are, and text in UTF-8."""
    return text if isinstance(text, bytes) else str(text).encode()
