"""Records whose fields carry their checks and their documentation, and what can be made of them."""

import difflib
import functools
import typing
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pydantic
import pydantic.dataclasses
from pydantic.fields import FieldInfo

from tfrobust.errors import InputError


@dataclass(frozen=True)
class Flat:
    """What a field is called where names are not nested, as on a command line.

    A field without this annotation is called by its own name there.

    Args:
        name: of the field.
        prefix: for a field that is a record: what the names of its own fields begin with.
    """

    name: str = ""
    prefix: str = ""


@typing.dataclass_transform(kw_only_default=True, frozen_default=True)
def record(section: str = "") -> Callable[[type[Any]], type[Any]]:
    """Makes a class a frozen dataclass whose values are checked, and never converted.

    A field is documented by the string below it.

    Args:
        section: the name of the field that holds such a record in another one. Errors name fields
            by their whole path, such as `optimizer.learning_rate`.

    Returns:
        A decorator. The class that it makes raises InputError where pydantic would raise its own
        error.
    """

    def decorate(cls: type[Any]) -> type[Any]:
        made: Any = pydantic.dataclasses.dataclass(
            frozen=True,
            kw_only=True,
            config=pydantic.ConfigDict(
                strict=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True
            ),
        )(cls)
        checked = made.__init__

        @functools.wraps(checked)
        def __init__(self: Any, **values: Any) -> None:
            try:
                checked(self, **values)
            except pydantic.ValidationError as error:
                raise InputError(words(error, section)) from None

        made.__init__ = __init__
        return made

    return decorate


def walk(cls: type[Any]) -> dict[str, FieldInfo]:
    """Every field of a record and of the records in it, in the order of the classes.

    Args:
        cls: made by `record`.

    Returns:
        The field's path, such as "optimizer.learning_rate" → what pydantic knows of it:
        `annotation`, `default`, `description` and, for instance, its `Flat` in `metadata`.
    """
    found: dict[str, FieldInfo] = {}
    for name, field in cls.__pydantic_fields__.items():
        if _is_record(field.annotation):
            found |= {f"{name}.{path}": one for path, one in walk(field.annotation).items()}
        else:
            found[name] = field
    return found


def flat_names(cls: type[Any]) -> dict[str, str]:
    """What every field is called where names are not nested: path → name.

    The rule: the prefix of its section, if that has one, and the field's own name. A field whose
    `Flat` gives a name is called by that.
    """
    found = {}
    for path, field in walk(cls).items():
        section, _, name = path.rpartition(".")
        prefix = _flat(cls.__pydantic_fields__[section]).prefix if section else ""
        found[path] = _flat(field).name or prefix + name
    return found


def words(error: pydantic.ValidationError, section: str = "") -> str:
    """Which fields have which wrong values, as this package's errors say it.

    Args:
        error: of a record.
        section: what the paths of its fields begin with.
    """
    return "; ".join(_word(one, section) for one in error.errors(include_url=False))


def unknown(path: str, cls: type[Any]) -> str:
    """The words for a path that leads to no field, with the nearest that do."""
    near = difflib.get_close_matches(path, walk(cls), n=3)
    return f"there is no field {path}" + (
        f"; the nearest are {', '.join(f'`{one}`' for one in near)}" if near else ""
    )


def _word(one: Any, section: str) -> str:
    # A field is found by its path, to which the place of an item in a tuple does not belong.
    path = ".".join(name for name in (section, *one["loc"]) if isinstance(name, str) and name)
    if one["type"] == "value_error":  # raised by a __post_init__
        return str(one["ctx"]["error"])
    if one["type"] == "unexpected_keyword_argument":
        return f"there is no field {path}"
    if one["type"] == "missing":
        return f"expected a value for `{path}`"
    what = f"`{path}`" if path else "a configuration"
    return (
        one["msg"].replace("Input should be", f"expected {what} to be") + f", got {one['input']!r}"
    )


def _is_record(annotation: Any) -> bool:
    return isinstance(annotation, type) and hasattr(annotation, "__pydantic_fields__")


def _flat(field: FieldInfo) -> Flat:
    return next((one for one in field.metadata if isinstance(one, Flat)), Flat())
