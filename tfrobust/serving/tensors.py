"""Arrays as TensorFlow's messages and back, without TensorFlow."""

import math
from typing import Any

import numpy as np

from tfrobust.errors import InputError
from tfrobust.serving import protocol
from tfrobust.serving.dtypes import DTYPES, as_bytes

# The fields that have numbers one by one, where they are not those of a TensorProto's int_val.
_FIELDS = {
    "float32": "float_val",
    "float64": "double_val",
    "float16": "half_val",
    "int64": "int64_val",
    "uint32": "uint32_val",
    "uint64": "uint64_val",
    "bool": "bool_val",
}


def dtype_name(number: int) -> str:
    """NumPy's name of the type with a number in TensorFlow; TensorFlow's where NumPy has none."""
    name = protocol.name_of(number, "tensorflow.DataType")
    return DTYPES.get(name, name)


def fill(tensor: Any, value: np.ndarray) -> None:
    """Writes an array into a TensorProto.

    Raises:
        InputError: it has a type that TensorFlow's servers do not take.
    """
    name = "string" if value.dtype.kind in "OSU" else value.dtype.name
    known = {numpy_name: name for name, numpy_name in DTYPES.items()}
    if name not in known:
        raise InputError(f"expected an array of {', '.join(known)}, got {name}")
    tensor.MergeFrom(type(tensor)(dtype=known[name]))  # An enum's name is taken here only.
    for size in value.shape:
        tensor.tensor_shape.dim.add(size=size)
    if name == "string":
        tensor.string_val.extend(as_bytes(one) for one in value.ravel())
    else:
        tensor.tensor_content = value.astype(value.dtype.newbyteorder("<"), copy=False).tobytes()


def array(tensor: Any) -> np.ndarray:
    """Reads a TensorProto.

    Raises:
        ValueError: NumPy has no such type, or the message carries another number of values than
            it announces.
    """
    name = dtype_name(tensor.dtype)
    shape = tuple(dim.size for dim in tensor.tensor_shape.dim)
    if name not in DTYPES.values():
        raise ValueError(f"a tensor of {name}, which NumPy does not have")
    if name == "string":
        values = np.array(list(tensor.string_val), object)
    elif tensor.tensor_content:
        values = np.frombuffer(tensor.tensor_content, np.dtype(name).newbyteorder("<")).astype(name)
    elif name == "float16":  # its bits
        values = np.array(tensor.half_val, np.uint16).view(name)
    else:
        values = np.array(getattr(tensor, _FIELDS.get(name, "int_val")), name)
    if min(shape, default=0) < 0 or values.size != math.prod(shape):
        raise ValueError(f"a tensor of shape {shape} that carries {values.size} values")
    return values.reshape(shape)
