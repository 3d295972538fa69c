"""Arrays as TensorFlow's messages and back, without TensorFlow."""

import math
from typing import Any

import numpy as np

from tfrobust.serving import dtypes, protocol

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
    """The name of the type with a number in TensorFlow."""
    return dtypes.dtype_name(protocol.name_of(number, "tensorflow.DataType"))


def fill(tensor: Any, value: np.ndarray) -> None:
    """Writes an array into a TensorProto.

    Raises:
        InputError: it has a type that TensorFlow's servers do not take.
    """
    name = dtypes.check_sent(value)
    known = {numpy_name: name for name, numpy_name in dtypes.DTYPES.items()}
    tensor.MergeFrom(type(tensor)(dtype=known[name]))  # An enum's name is taken here only.
    for size in value.shape:
        tensor.tensor_shape.dim.add(size=size)
    if name == "string":
        tensor.string_val.extend(dtypes.as_bytes(one) for one in value.ravel())
    else:
        tensor.tensor_content = value.astype(value.dtype.newbyteorder("<"), copy=False).tobytes()


def array(tensor: Any) -> np.ndarray:
    """Reads a TensorProto.

    Raises:
        ValueError: no array of ours has such a type, a number is out of its range, or the message
            carries another number of values than it announces.
    """
    name = dtype_name(tensor.dtype)
    shape = tuple(dim.size for dim in tensor.tensor_shape.dim)
    dtypes.check_received(name)
    if name == "string":
        values = np.array(list(tensor.string_val), object)
    elif tensor.tensor_content:
        values = np.frombuffer(tensor.tensor_content, np.dtype(name).newbyteorder("<")).astype(name)
    elif name == "float16":  # its bits
        values = dtypes.fitted(np.array(tensor.half_val), "uint16").view(name)
    else:
        values = dtypes.fitted(np.array(getattr(tensor, _FIELDS.get(name, "int_val"))), name)
    if min(shape, default=0) < 0 or values.size != math.prod(shape):
        raise ValueError(f"a tensor of shape {shape} that carries {values.size} values")
    return values.reshape(shape)
