"""Types of arrays, as TensorFlow and NumPy name them."""

from typing import Any

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


def as_bytes(text: Any) -> bytes:
    """Bytes as they are, and text in UTF-8."""
    return text if isinstance(text, bytes) else str(text).encode()
