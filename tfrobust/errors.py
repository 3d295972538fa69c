"""The one error that is a user's to mend: the programs print it without a traceback."""


class InputError(ValueError):
    """Bad input: the message says what was expected, what came, and what to do."""
