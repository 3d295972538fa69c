"""What records share: they are written as JSON and read back."""

import dataclasses
import json
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self

import numpy as np
import pydantic

from tfrobust.core.files import check_utf8, write_atomically
from tfrobust.errors import InputError

MOST_SHOWN = 10  # values of an array or a list that a record shows at a prompt
MOST_REASONS = 3  # that an error names, of why a file holds no such record


def _numbers(values: Any) -> np.ndarray:
    """A list of numbers as an array: int64 if JSON has only whole ones, else float64."""
    if isinstance(values, np.ndarray):
        return values
    if not isinstance(values, list):
        raise ValueError(f"expected a list of numbers, got {values!r:.40}")
    array = np.array([np.inf if value is None else value for value in values])
    if array.ndim != 1 or array.dtype.kind not in "if":
        raise ValueError(f"expected a list of numbers, got {values!r:.40}")
    return array


def _rows(values: Any) -> np.ndarray:
    """A list of lists of numbers, as many in each, as an array float64."""
    if isinstance(values, np.ndarray):
        return values
    try:
        array = np.array(values)
    except ValueError:
        array = np.empty(0)
    if array.ndim != 2 or array.dtype.kind not in "if":
        raise ValueError(f"expected lists of numbers of one length, got {values!r:.40}")
    return array.astype(np.float64)


def _plain(array: np.ndarray) -> list[Any]:
    return [value if np.isfinite(value) else None for value in array.tolist()]


# A field of numbers (N,). JSON has no infinity, so an infinite number is null there.
Array = Annotated[np.ndarray, pydantic.PlainValidator(_numbers), pydantic.PlainSerializer(_plain)]
# A field of finite numbers (N, K).
Matrix = Annotated[
    np.ndarray, pydantic.PlainValidator(_rows), pydantic.PlainSerializer(np.ndarray.tolist)
]


def brief(record: Any) -> str:
    """A dataclass as one reads it at a prompt: of arrays and long lists only what they are.

    Set as `__repr__` of records that hold arrays.
    """
    parts = [
        f"{field.name}={_brief(getattr(record, field.name))}"
        for field in dataclasses.fields(record)
    ]
    return f"{type(record).__name__}({', '.join(parts)})"


def _brief(value: Any) -> str:
    if isinstance(value, np.ndarray) and value.size > MOST_SHOWN:
        return f"<{value.dtype} of shape {value.shape}>"
    if isinstance(value, tuple | list) and len(value) > MOST_SHOWN:
        return f"<{type(value).__name__} of {len(value)}>"
    return repr(value)


class Record:
    """A frozen dataclass that is written as JSON and read back.

    The JSON has the number of its schema, the record's fields by name, and the properties that
    `DERIVED` names, for readers without this package.

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
            InputError: the file cannot be written, or a text is not UTF-8.
        """
        write_atomically(path, self.json_text().encode())

    def json_text(self) -> str:
        """What `to_json` writes.

        Raises:
            InputError: a text is not UTF-8, such as the name of a file.
        """
        values = {"schema": self.SCHEMA, **{name: getattr(self, name) for name in self.DERIVED}}
        values |= pydantic.TypeAdapter(type(self)).dump_python(self, mode="json")
        text = json.dumps(values, indent=1, ensure_ascii=False, allow_nan=False)
        check_utf8(text)
        return text

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
            # Python reads and writes NaN and infinity, which JSON does not have.
            json.dumps(values, allow_nan=False)
        except (OSError, ValueError, RecursionError) as error:
            raise InputError(f"{wanted}; got: {error}") from error
        schema = values.get("schema") if isinstance(values, dict) else None
        if schema != cls.SCHEMA:
            raise InputError(f"{wanted}; got schema {schema}; compute the record again")
        for name in ("schema", *cls.DERIVED):
            values.pop(name, None)
        try:
            # Strict: no value of another type is converted in silence.
            adapter = pydantic.TypeAdapter(cls)
            return adapter.validate_json(json.dumps(values), strict=True, extra="forbid")
        except pydantic.ValidationError as error:
            reasons = [
                f"{'.'.join(map(str, one['loc']))}: {one['msg']}"
                for one in error.errors(include_url=False)[:MOST_REASONS]
            ]
            raise InputError(
                f"{wanted}; got one whose fields differ: {'; '.join(reasons)}"
            ) from error
