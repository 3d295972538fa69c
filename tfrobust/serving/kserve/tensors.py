"""Tensors of the Open Inference Protocol: what a request announces, and what a response holds."""

import struct
from collections.abc import Mapping

import numpy as np
import tensorflow as tf
from kserve import InferInput, InferOutput, InferRequest
from kserve.errors import InvalidInput
from kserve.utils.numpy_codec import from_np_dtype, to_np_dtype

from tfrobust.serving.engine import Announced
from tfrobust.serving.kserve.explain_rows import DEFAULTS, SIGNATURE
from tfrobust.serving.rest_json import holds


def announced(request: InferRequest, signature: str) -> dict[str, Announced]:
    """The inputs of a request, before they are unpacked.

    Args:
        request: what came.
        signature: the signature that is asked. Of `explain` all inputs but the images may be left
            out.

    Raises:
        InvalidInput: an input comes twice, or has a type or shape that there is not.
    """
    found: dict[str, Announced] = {}
    for one in request.inputs:
        if one.name in found:
            raise InvalidInput(f"input {one.name}: expected once, got it twice")
        found[one.name] = _announced(one)
    if signature == SIGNATURE and "images" in found and found["images"].shape:
        count = found["images"].shape[0]
        for name, value in DEFAULTS.items():
            if name not in found:
                default = np.array(value, np.float32 if name == "rho" else np.int32)
                # It takes no memory, however many images are announced.
                found[name] = Announced.of(np.broadcast_to(default, count))
    return found


def outputs(arrays: Mapping[str, np.ndarray]) -> list[InferOutput]:
    """Arrays as the outputs of a response."""
    found = []
    for name, array in arrays.items():
        one = InferOutput(name, list(array.shape), from_np_dtype(array.dtype))
        # The SDK cannot send arrays by gRPC that are not in bytes yet.
        one.set_data_from_numpy(array, binary_data=True)
        found.append(one)
    return found


def described(specs: Mapping[str, tf.TensorSpec]) -> list[dict[str, object]]:
    """What metadata says of tensors; a size of −1 means any size."""
    return [
        {
            "name": name,
            "datatype": from_np_dtype(np.dtype(spec.dtype.as_numpy_dtype)),
            "shape": [-1 if size is None else size for size in spec.shape.as_list()],
        }
        for name, spec in specs.items()
    ]


def _announced(one: InferInput) -> Announced:
    dtype = to_np_dtype(one.datatype)
    if dtype is None:
        raise InvalidInput(f"input {one.name}: there is no datatype {one.datatype}")
    # Who may announce −1 images could announce any number.
    if any(not 0 <= size < 2**31 for size in one.shape):
        raise InvalidInput(f"input {one.name}: there is no shape {list(one.shape)}")
    known = tf.string if one.datatype == "BYTES" else tf.dtypes.as_dtype(dtype)
    return Announced(known, tuple(one.shape), lambda: _unpacked(one))


def _unpacked(one: InferInput) -> np.ndarray:
    """The array; a ValueError if its data are others than announced."""
    if one.data and isinstance(one.data, list) and one.datatype not in ("BYTES", "BOOL"):
        # NumPy would cut 1.5 to 1, read "1" as a number, and give every number the room of the
        # longest string.
        kinds = "iuf" if one.datatype.startswith("FP") else "iu"
        if holds(one.data, (str,)) or np.array(one.data).dtype.kind not in kinds:
            raise ValueError(f"input {one.name}: its data are not of type {one.datatype}")
    try:
        return one.as_numpy()
    except (struct.error, OverflowError) as error:
        raise ValueError(f"input {one.name}: {error}") from None
