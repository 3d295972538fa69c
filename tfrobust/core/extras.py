"""Packages that only some need, and that pip installs with an extra of ours."""

import importlib
from typing import Any

from tfrobust.errors import ReportedError


def imported(package: str, *, needed_by: str) -> Any:
    """Imports the package of the extra of its name.

    Args:
        package: such as "shap".
        needed_by: what needs it, as the beginning of a sentence.

    Raises:
        ReportedError: it is not installed; the message says how to install it.
    """
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise ReportedError(missing(package, needed_by)) from error


def missing(package: str, needed_by: str) -> str:
    """The sentence that names the pip line."""
    return (
        f"{needed_by} needs the package {package}, which is not installed: "
        f"pip install 'tfrobust[{package}]'"
    )
