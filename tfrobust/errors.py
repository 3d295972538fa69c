"""Errors that the programs print without a traceback."""


class ReportedError(Exception):
    """What a message says better than a traceback: it names what happened and what to do."""


class InputError(ReportedError, ValueError):
    """Bad input: the message says what was expected, what came, and what to do."""


def reason_of(error: BaseException) -> str:
    """The first line of an error's message, or the error's type where it has no message."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
