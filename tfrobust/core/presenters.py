"""How a record is drawn although it must not import what draws it.

Records lie low in the house; reports/, which draws them, lies high. A record asks `present` for the
function that draws it. That function is in the table `PRESENTERS` of a module which the package's
root names here, and which is loaded when the first record is drawn.
"""

import functools
import importlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas

# The name of the module with the table. tfrobust/__init__.py sets it.
module = ""


def present(record: object, form: str) -> Callable[..., Any]:
    """The function that draws a record.

    Args:
        record: what to draw.
        form: in which form, such as "html".

    Returns:
        The function, with the record as its first argument.

    Raises:
        LookupError: nothing draws this kind of record in this form.
    """
    table = importlib.import_module(module).PRESENTERS
    for kind in type(record).__mro__:
        if (kind.__name__, form) in table:
            return functools.partial(table[kind.__name__, form], record)
    raise LookupError(f"{module} draws no {type(record).__name__} as {form}")


class Presented:
    """A record that a data frame and a notebook show."""

    def to_dataframe(self) -> "pandas.DataFrame":
        """The record as a pandas data frame; `tfrobust.reports.frames` says of which rows.

        Raises:
            ImportError: pandas is not installed.
        """
        return present(self, "dataframe")()

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        return present(self, "notebook")()
