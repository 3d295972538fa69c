"""The JSON of TF Serving's REST routes: bodies to arrays, arrays to bodies.

JSON's types are taken as strictly as TF Serving takes them: true is no number, and 1.0 is no
integer.
"""

import base64
import json
import re
import zlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from tfrobust.serving.dtypes import fitted
from tfrobust.serving.engine import DEFAULT_SIGNATURE
from tfrobust.serving.json_memory import MOST_PARSED_BYTES, parsed_bytes
from tfrobust.serving.refused import Refused
from tfrobust.serving.version import Version

# A string in a list; what stands before a colon is a name.
STRING_IN_LIST = re.compile(rb'[\[,]\s*"[^"\\]*(?:\\.[^"\\]*)*"\s*[,\]]')


class Asked(NamedTuple):
    """What a body asks for.

    Args:
        signature: the signature's name.
        inputs: an array for each input.
        by_row: whether the answer is one object for each image.
    """

    signature: str
    inputs: dict[str, np.ndarray]
    by_row: bool


def read(body: bytes, version: Version) -> Asked:
    """Reads the body of a request.

    Args:
        body: JSON.
        version: the version that is asked. Its signature says which types the numbers have.

    Raises:
        Refused: the body is no JSON, fits no signature, or would take too much memory.
    """
    asked = _parsed(body)
    signature = asked.get("signature_name", "")
    if not isinstance(signature, str):
        raise Refused(
            "INVALID_ARGUMENT",
            "JSON Value not formatted correctly. 'signature_name' key must be a string value.",
        )
    signature = signature or DEFAULT_SIGNATURE
    specs = version.inputs.get(signature)
    if specs is None:
        raise Refused(
            "INVALID_ARGUMENT",
            f'Serving signature name: "{signature}" not found in signature def',
        )
    if not specs:
        raise Refused("INVALID_ARGUMENT", f"Failed to get input map for signature: {signature}")
    by_row = "instances" in asked
    values = _rows(asked["instances"]) if by_row else asked["inputs"]
    if not isinstance(values, dict) or _is_base64(values):
        if len(specs) > 1:
            raise Refused(
                "INVALID_ARGUMENT",
                f"expected an object with the inputs {', '.join(sorted(specs))}, got a plain list",
            )
        values = {next(iter(specs)): values}
    # Only these make anything but numbers, and whether one is among numbers takes time to find.
    mixed = b"true" in body or b"false" in body or bool(STRING_IN_LIST.search(body))
    arrays = {key: _array(key, one, specs.get(key), mixed) for key, one in values.items()}
    return Asked(signature, arrays, by_row)


def write(outputs: Mapping[str, np.ndarray], *, by_row: bool) -> dict[str, Any]:
    """What answers a request.

    Args:
        outputs: an array for each output.
        by_row: whether it is one object for each image.
    """
    plain = {key: _plain(key, value) for key, value in outputs.items()}
    if not by_row:
        return {"outputs": next(iter(plain.values())) if len(plain) == 1 else plain}
    if len(plain) == 1:
        return {"predictions": next(iter(plain.values()))}
    rows = zip(*plain.values(), strict=True)
    return {"predictions": [dict(zip(plain, row, strict=True)) for row in rows]}


def unzipped(body: bytes, most: int) -> bytes:
    """A body that came with `Content-Encoding: gzip`.

    Args:
        body: what came.
        most: the most bytes that it may unpack to.

    Raises:
        Refused: it is no gzip, is cut off, or unpacks to more.
    """
    reader = zlib.decompressobj(wbits=31)
    try:
        text = reader.decompress(body, most + 1)
    except zlib.error as error:
        raise Refused("INVALID_ARGUMENT", f"expected a body in gzip: {error}") from None
    if len(text) > most:
        raise Refused("INVALID_ARGUMENT", f"a request that unpacks to more than {most} bytes")
    if not reader.eof:
        raise Refused("INVALID_ARGUMENT", "expected a whole body in gzip, it is cut off")
    return text


def holds(value: Any, types: tuple[type, ...]) -> bool:
    """Whether anything in nested lists is of these types."""
    if isinstance(value, list):
        return any(holds(one, types) for one in value)
    return isinstance(value, types)


def _parsed(body: bytes) -> dict[str, Any]:
    if parsed_bytes(body) > MOST_PARSED_BYTES:
        raise Refused(
            "INVALID_ARGUMENT", "a request of too many numbers and lists; ask for fewer images"
        )
    try:
        asked = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Refused("INVALID_ARGUMENT", f"JSON Parse error: {error}") from None
    if not isinstance(asked, dict):
        raise Refused("INVALID_ARGUMENT", "JSON Value: Is not object")
    if "instances" in asked and "inputs" in asked:
        raise Refused(
            "INVALID_ARGUMENT",
            "Not formatted correctly expecting only one of 'inputs' or 'instances' keys to exist",
        )
    if "instances" not in asked and "inputs" not in asked:
        raise Refused("INVALID_ARGUMENT", "Missing 'inputs' or 'instances' key")
    return asked


def _rows(instances: Any) -> Any:
    """Turns rows into one list for each input; rows of a single input stay as they are."""
    if not isinstance(instances, list) or not instances:
        raise Refused("INVALID_ARGUMENT", "expected 'instances' as a list that is not empty")
    if not isinstance(instances[0], dict) or _is_base64(instances[0]):
        return instances
    names = set(instances[0])
    if any(not isinstance(row, dict) or set(row) != names for row in instances):
        raise Refused("INVALID_ARGUMENT", f"expected every instance to have {sorted(names)}")
    return {name: [row[name] for row in instances] for name in names}


def _is_base64(value: Any) -> bool:
    return isinstance(value, dict) and set(value) == {"b64"}


def _array(name: str, value: Any, spec: tf.TensorSpec | None, mixed: bool) -> np.ndarray:
    """JSON's lists as an array of the type that the signature names."""
    try:
        if spec is None:
            return np.zeros(())  # The engine says that there is no such input.
        if spec.dtype == tf.string:
            return np.array(_texts(value), object)
        # NumPy would take true for 1, and give every number the room of the longest string.
        others = (str,) if spec.dtype == tf.bool else (str, bool)
        if mixed and holds(value, others):
            raise ValueError(f"JSON values are not of expected type: {spec.dtype.name}")
        array = np.array(value)
        kinds = "iuf" if spec.dtype.is_floating else "b" if spec.dtype == tf.bool else "iu"
        if array.size and array.dtype.kind not in kinds:
            raise ValueError(f"JSON values are not of expected type: {spec.dtype.name}")
        return _fitted(array, spec)
    except (ValueError, TypeError, OverflowError, RecursionError) as error:
        raise Refused("INVALID_ARGUMENT", f"input {name}: {error}") from None


def _fitted(array: np.ndarray, spec: tf.TensorSpec) -> np.ndarray:
    try:
        return fitted(array, spec.dtype.as_numpy_dtype)
    except ValueError:
        raise ValueError(
            f"Cannot convert JSON value to {spec.dtype.name} without loss of precision."
        ) from None


def _texts(value: Any) -> Any:
    """Strings as bytes. {"b64": …} can hold any bytes."""
    if isinstance(value, list):
        return [_texts(one) for one in value]
    if _is_base64(value):
        return base64.b64decode(value["b64"], validate=True)
    if isinstance(value, str):
        return value.encode()
    raise ValueError('expected strings, or {"b64": …}')


def _plain(name: str, value: np.ndarray) -> Any:
    """An array as JSON's lists. Bytes become text, or base64 where the name says that they are."""
    if value.dtype.kind not in "OS":
        return value.tolist()

    def told(one: bytes) -> Any:
        if name.endswith("_bytes"):
            return {"b64": base64.b64encode(one).decode()}
        return one.decode("utf-8", "replace")

    return np.frompyfunc(told, 1, 1)(value).tolist()
