"""Flags made from the fields of a run's configuration, and field names turned into flags.

The library's errors name fields, in backticks: `optimizer.learning_rate`. Only here do they
become flags: --learning_rate.
"""

import contextlib
import inspect
import re
import typing
from collections.abc import Iterator
from typing import Any

from absl import flags

from tfrobust.errors import InputError, ReportedError
from tfrobust.runs import fields
from tfrobust.runs.config import Config

NAMES = fields.flat_names(Config)


def define(values: flags.FlagValues) -> None:
    """Makes a flag of each field of a configuration, except of its name.

    Args:
        values: where to. A flag's default is None: the recipe's value. Its help is what the
            field's documentation says, in a group for each section.
    """
    for path, field in fields.walk(Config).items():
        if path == "name":
            continue
        section = path.rpartition(".")[0]
        common: dict[str, Any] = {
            "name": NAMES[path],
            "default": None,
            "help": " ".join((field.description or "").split()),
            "flag_values": values,
            # absl groups flags by this name, and heads the group with it.
            "module_name": _title(section) if section else path,
        }
        kind = next(one for one in _parts(field.annotation) if one is not type(None))
        if kind is bool:
            flags.DEFINE_boolean(**common)
        elif typing.get_origin(kind) is typing.Literal:
            flags.DEFINE_enum(enum_values=typing.get_args(kind), **common)
        elif typing.get_origin(kind) is tuple:
            flags.DEFINE_list(**common)
        elif kind is int:
            flags.DEFINE_integer(**common)
        elif kind is float:
            flags.DEFINE_float(**common)
        elif kind is str:
            flags.DEFINE_string(**common)
        else:  # such as Annotated within a union
            raise TypeError(f"no kind of flag is known for {path}: {field.annotation}")


def given(values: flags.FlagValues) -> dict[str, Any]:
    """What the command line says of the configuration: a field's path → its value.

    Raises:
        InputError: a list of something else than numbers.
    """
    found = {}
    for path, name in NAMES.items():
        value = values[name].value if path != "name" else None
        if isinstance(value, list):
            try:
                value = [float(part) for part in value]
            except ValueError:
                raise InputError(
                    f"expected --{name} to be numbers such as 0.5,0.8, got {','.join(value)!r}"
                ) from None
        if value is not None:
            found[path] = value
    return found


@contextlib.contextmanager
def errors_name_flags(values: flags.FlagValues) -> Iterator[None]:
    """Within it, fields and arguments that errors name in backticks become flags.

    Args:
        values: the program's flags, which arguments such as `run_dir` are looked up in.
    """

    def flag(found: re.Match[str]) -> str:
        name = NAMES.get(found[1], found[1])
        return f"--{name}" if name in values else found[0]

    try:
        yield
    except ReportedError as error:
        raise type(error)(re.sub(r"`([\w.]+)`", flag, str(error))) from None


def _title(section: str) -> str:
    """A section's name, and what its documentation says of it."""
    about: str = inspect.getdoc(typing.get_type_hints(Config)[section]) or ""
    return f"{section}: {about.splitlines()[0].rstrip('.')}"


def _parts(annotation: Any) -> tuple[Any, ...]:
    """The members of a union; a type by itself is the only one."""
    is_union = type(None) in typing.get_args(annotation)
    return typing.get_args(annotation) if is_union else (annotation,)
