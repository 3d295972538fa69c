"""How many requests are computed at once, and how many wait."""

import contextlib
import threading
from collections.abc import Iterator

from tfrobust.serving.refused import Refused

# Seconds between two looks whether the client of a waiting request has left.
LOOK = 0.1


class Lane:
    """Lets requests of one kind through, a few at a time.

    Args:
        workers: how many are computed at once.
        queue: how many more may wait.
    """

    def __init__(self, workers: int, queue: int) -> None:
        self.room = threading.BoundedSemaphore(workers + queue)
        self._computing = threading.BoundedSemaphore(workers)

    @contextlib.contextmanager
    def turn(self, left: threading.Event) -> Iterator[None]:
        """Waits for a turn.

        Args:
            left: is set when nobody waits for the answer any more.

        Raises:
            Refused: too many wait, or the client has left.
        """
        if not self.room.acquire(blocking=False):
            raise Refused("UNAVAILABLE", "The queue is full; try again later")
        try:
            while not self._computing.acquire(timeout=LOOK):
                check_wanted(left)
            try:
                yield
            finally:
                self._computing.release()
        finally:
            self.room.release()


def check_wanted(left: threading.Event) -> None:
    """Ends what nobody waits for any more.

    Raises:
        Refused: the event is set.
    """
    if left.is_set():
        raise Refused("CANCELLED", "The client has left, or the server stops")
