"""Marks of parametrised tests."""

from collections.abc import Iterable
from typing import Any

import pytest


def quick(names: Iterable[Any], *chosen: Any) -> list[Any]:
    """The names as parameters; all that are not chosen are slow.

    Args:
        names: every name.
        chosen: those that speak for the rest in the default suite.
    """
    every = list(names)
    assert set(chosen) <= set(every), set(chosen) - set(every)
    return [
        name if name in chosen else pytest.param(name, marks=pytest.mark.slow) for name in every
    ]
