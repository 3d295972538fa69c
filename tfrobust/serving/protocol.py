"""TF Serving's protocol: its codes, and tensors checked before anything is allocated for them."""

import math
from typing import Any

import numpy as np
import tensorflow as tf


class Refused(Exception):
    """A request that is answered with an error.

    Args:
        code: gRPC's name of what went wrong, the one that TF Serving gives, such as "NOT_FOUND".
        message: for people.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


def check_inputs(given: Any, wanted: Any) -> None:
    """Refuses a request that lacks an input of a signature, or has one more.

    Args:
        given: names.
        wanted: names.

    Raises:
        Refused: INVALID_ARGUMENT.
    """
    extra, missing = sorted(set(given) - set(wanted)), sorted(set(wanted) - set(given))
    if extra or missing:
        raise Refused(
            "INVALID_ARGUMENT",
            f"input size does not match signature: expected {sorted(wanted)}. Sent extra: "
            f"{[name[:80] for name in extra[:8]]}. Missing but required: {missing}.",
        )


def check_shape(name: str, shape: tuple[int, ...], info: Any, most_rows: int) -> None:
    """Refuses a shape that a signature's input does not have.

    TF Serving leaves that to the graph, which may fail later, or compute with what was not meant.

    Args:
        name: of the input.
        shape: what came.
        info: TensorInfo, what the signature says; −1 is any size.
        most_rows: of the first dimension, where that is free.

    Raises:
        Refused: INVALID_ARGUMENT.
    """
    if info.tensor_shape.unknown_rank:
        return
    wanted = [dim.size for dim in info.tensor_shape.dim]
    fits = len(shape) == len(wanted) and all(
        size >= 0 and (size == whole or whole < 0)
        for size, whole in zip(shape, wanted, strict=True)
    )
    if not fits:
        raise Refused(
            "INVALID_ARGUMENT",
            f"expected {name} of shape {wanted} (-1 is any size), got {list(shape)[:16]}",
        )
    if wanted and wanted[0] < 0 and shape[0] > most_rows:
        raise Refused(
            "INVALID_ARGUMENT",
            f"Task size {shape[0]} is larger than maximum input batch size {most_rows}: send "
            f"{name} in parts",
        )


def array_of(name: str, proto: Any, info: Any, *, most_rows: int, most_bytes: int) -> np.ndarray:
    """A tensor that came, as an array.

    A TensorProto may announce a shape and bring one value, which fills it: a few bytes on the wire
    could ask for any amount of memory. What it would take is therefore computed first.

    Args:
        name: of the input.
        proto: TensorProto.
        info: TensorInfo, what the signature says of it.
        most_rows: of the first dimension.
        most_bytes: that the array may take.

    Raises:
        Refused: INVALID_ARGUMENT: another type or shape, too large, or broken.
    """
    if proto.dtype != info.dtype:
        raise Refused(
            "INVALID_ARGUMENT",
            f"expected {name} of type {_type(info.dtype)}, got {_type(proto.dtype)}",
        )
    if proto.tensor_shape.unknown_rank:
        raise Refused("INVALID_ARGUMENT", f"tensor parsing error: {name} has no shape")
    shape = tuple(dim.size for dim in proto.tensor_shape.dim)
    check_shape(name, shape, info, most_rows)
    dtype = tf.dtypes.as_dtype(info.dtype)
    count = math.prod(shape)
    size = count * dtype.size
    if dtype == tf.string:
        fill = max(0, count - len(proto.string_val))
        last = len(proto.string_val[-1]) if proto.string_val else 0
        size = sum(map(len, proto.string_val)) + fill * (last + 8)
    if size < 0 or size > most_bytes:
        raise Refused(
            "INVALID_ARGUMENT",
            f"expected {name} to take at most {most_bytes} bytes, got {size}: send fewer at a time",
        )
    try:
        return tf.make_ndarray(proto)
    except (TypeError, ValueError) as error:
        raise Refused("INVALID_ARGUMENT", f"tensor parsing error: {name}: {error}") from None


def _type(number: int) -> str:
    try:
        return tf.dtypes.as_dtype(number).name
    except TypeError:
        return f"number {number}"
