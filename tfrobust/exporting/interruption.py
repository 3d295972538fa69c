"""Delays Ctrl-C until a step of an export has ended.

Inside a step, a library may catch the interruption and go on.
"""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType


@contextlib.contextmanager
def deferred() -> Iterator[Callable[[], None]]:
    """Delays Ctrl-C and SIGTERM. A second one interrupts at once.

    Yields:
        A function to call between steps. It raises KeyboardInterrupt if a signal came.
    """
    pressed: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        pressed.append(number)
        if len(pressed) > 1:
            raise KeyboardInterrupt

    def look() -> None:
        if pressed:
            raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield look  # Python delivers signals to the main thread alone.
        return
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, note) for number in numbers}
    try:
        yield look
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
