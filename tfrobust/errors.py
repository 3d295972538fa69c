"""Errors that the programs print without a traceback."""


class ReportedError(Exception):
    """What a message says better than a traceback: it names what happened and what to do."""


class InputError(ReportedError, ValueError):
    """Bad input: the message says what was expected, what came, and what to do."""
