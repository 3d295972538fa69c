"""Errors that the programs print without a traceback."""

import re

# TensorFlow and Keras write lines of their own before the words of the operation that failed, and
# behind them the name of the operation.
_BEFORE = re.compile(
    r"\s*$|Graph execution error:|\d+ root error|Detected at node |<stack traces|  File "
    r"|Exception encountered when calling "
)
_BOLD = re.compile(r"\x1b\[\d*m")  # as Keras prints its errors
_BEHIND = re.compile(r"\s*\[\[\{\{node .*|\s*\[Op:.*", re.DOTALL)
_INSIDE = re.compile(r"^\s*\(\d+\) [A-Z_]+: |\{\{.*?\}\} ?")
# "assertion failed: [expected a target from -1 to 9, got] [99]"
_ASSERTION = re.compile(r"(?:.*?:\s+)?assertion failed: \[(.*)\]$", re.DOTALL)


class ReportedError(Exception):
    """What a message says better than a traceback: it names what happened and what to do."""


class InputError(ReportedError, ValueError):
    """Bad input: the message says what was expected, what came, and what to do."""


class UnfinishedError(ReportedError, RuntimeError):
    """Work that failed after a long part of it was done. The message says what is kept."""


def reason_of(error: BaseException | str) -> str:
    """An error's own words in one line, or its type where it has none.

    Of a message with several lines it is the first that tells something: TensorFlow says before it
    where in a graph the error arose.

    Args:
        error: an error, or the message of one, as a server sends it.
    """
    lines = _BOLD.sub("", str(error)).splitlines()
    while lines and _BEFORE.match(lines[0]):
        del lines[0]
    told = _ASSERTION.match(_BEHIND.sub("", "\n".join(lines)))
    if told:
        # Its parts have brackets each, and an array among them goes on over several lines.
        return " ".join(told[1].replace("] [", " ").split())
    line = _INSIDE.sub("", _BEHIND.sub("", lines[0])).strip() if lines else ""
    return line or (error if isinstance(error, str) else type(error).__name__)
