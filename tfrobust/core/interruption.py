"""Delays Ctrl-C and SIGTERM until a piece of work is whole.

Inside such a piece, an interruption would lose it, or a library would catch it and go on.
"""

import contextlib
import signal
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType

# A launcher may pass on what the terminal sends as well: within so many seconds, two signals are
# one press.
ONE_PRESS = 0.1


@contextlib.contextmanager
def deferred() -> Iterator[Callable[[], None]]:
    """Delays Ctrl-C and SIGTERM to the end of its block. A second Ctrl-C does not wait.

    Yields:
        A function to call where the block may be left. It raises KeyboardInterrupt if a signal
        came.

    Raises:
        KeyboardInterrupt: a signal came, and the block has ended.
    """
    came: list[float] = []

    def note(number: int, frame: FrameType | None) -> None:
        came.append(time.monotonic())
        if number == signal.SIGINT and came[-1] > came[0] + ONE_PRESS:
            raise KeyboardInterrupt

    def look() -> None:
        if came:
            raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield look  # Python delivers signals to the main thread alone.
        return
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.getsignal(number) for number in numbers}
    # A program that was started in the background ignores Ctrl-C, and goes on doing so.
    delayed = {number: old for number, old in before.items() if old is not signal.SIG_IGN}
    for number in delayed:
        signal.signal(number, note)
    try:
        yield look
    finally:
        for number, old in delayed.items():
            signal.signal(number, signal.SIG_DFL if old is None else old)
    look()
