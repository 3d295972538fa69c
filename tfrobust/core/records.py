"""What records share: they are written as JSON and read back."""

import dataclasses
import json
from pathlib import Path
from typing import Any, ClassVar, Self

import cattrs
import numpy as np
from cattrs.gen import make_dict_structure_fn, make_dict_unstructure_fn, override

from tfrobust.core.files import write_atomically
from tfrobust.errors import InputError

# The metadata of a field that the JSON leaves out; it must have a default.
NOT_KEPT = {"kept": False}

MOST_REASONS = 3  # that an error names, of why a file is no such record


class Record:
    """A frozen dataclass that is written as JSON and read back.

    The JSON has the number of its schema, the record's fields by name, and the properties that
    `DERIVED` names, for readers without this package. Arrays are lists. JSON has no infinity, so
    an infinite value of an array is null.

    Class attributes:
        SCHEMA: raised whenever a field is added or changes its meaning.
        DERIVED: names of properties that are written, and ignored when the file is read.
    """

    SCHEMA: ClassVar[int] = 1
    DERIVED: ClassVar[tuple[str, ...]] = ()

    def to_json(self, path: str | Path) -> None:
        """Writes the record as JSON.

        Args:
            path: the file; its folder is made if it does not exist.

        Raises:
            InputError: the file cannot be written.
        """
        values = {"schema": self.SCHEMA, **{name: getattr(self, name) for name in self.DERIVED}}
        values |= _CONVERTER.unstructure(self)
        text = json.dumps(values, indent=1, ensure_ascii=False, allow_nan=False)
        write_atomically(path, text.encode())

    @classmethod
    def from_json(cls, path: str | Path) -> Self:
        """Reads what `to_json` wrote.

        Args:
            path: the file.

        Raises:
            InputError: there is no such file, it is damaged, or it holds something else.
        """
        wanted = f"expected {path} to hold {cls.__name__}.to_json's schema {cls.SCHEMA}"
        try:
            values = json.loads(Path(path).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise InputError(f"{wanted}; got: {error}") from error
        schema = values.get("schema") if isinstance(values, dict) else None
        if schema != cls.SCHEMA:
            raise InputError(f"{wanted}; got schema {schema}; compute the record again")
        fields = {
            name: value
            for name, value in values.items()
            if name != "schema" and name not in cls.DERIVED
        }
        try:
            return _CONVERTER.structure(fields, cls)
        except cattrs.BaseValidationError as error:
            reasons = "; ".join(cattrs.transform_error(error, path=cls.__name__)[:MOST_REASONS])
            raise InputError(f"{wanted}; got one whose fields differ: {reasons}") from error


def _same(value: Any, kind: type) -> Any:
    """A JSON value of exactly this type; nothing is converted in silence."""
    if kind is float and type(value) is int:
        return float(value)
    if type(value) is not kind:
        raise TypeError(f"expected {kind.__name__}, got {value!r}")
    return value


def _array(values: Any, _: Any) -> np.ndarray:
    """A list of numbers as an array, float64 or int64 as JSON writes them."""
    if not isinstance(values, list):
        raise TypeError(f"expected a list of numbers, got {values!r}")
    array = np.array([np.inf if value is None else value for value in values])
    if array.ndim != 1 or array.dtype.kind not in "if":
        raise TypeError(f"expected a list of numbers, got one of {array.dtype}")
    return array


def _list(array: np.ndarray) -> list[Any]:
    return [value if np.isfinite(value) else None for value in array.tolist()]


def _left_out(kind: type) -> dict[str, Any]:
    return {
        field.name: override(omit=True)
        for field in dataclasses.fields(kind)
        if not field.metadata.get("kept", True)
    }


_CONVERTER = cattrs.Converter(forbid_extra_keys=True)
_CONVERTER.register_structure_hook(np.ndarray, _array)
_CONVERTER.register_unstructure_hook(np.ndarray, _list)
for _kind in (bool, int, float, str):
    _CONVERTER.register_structure_hook(_kind, _same)
_CONVERTER.register_structure_hook_factory(
    dataclasses.is_dataclass,
    lambda kind: make_dict_structure_fn(
        kind, _CONVERTER, _cattrs_forbid_extra_keys=True, **_left_out(kind)
    ),
)
_CONVERTER.register_unstructure_hook_factory(
    dataclasses.is_dataclass,
    lambda kind: make_dict_unstructure_fn(kind, _CONVERTER, **_left_out(kind)),
)
