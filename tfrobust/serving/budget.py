"""How many bytes of requests are held at one time."""

import threading

from tfrobust.serving.refused import Refused

# All messages of a protocol that come or wait may take so many times the largest.
LARGEST = 4


class Budget:
    """Bytes that may be held at one time.

    Args:
        largest: the most bytes of one message.
    """

    def __init__(self, largest: int) -> None:
        self._most, self._held = LARGEST * largest, 0
        self._changing = threading.Lock()

    def take(self, count: int) -> None:
        """Counts bytes that came, until `give_back`.

        Raises:
            Refused: with them there are too many.
        """
        with self._changing:
            self._held += count
            if self._held > self._most:
                raise Refused("RESOURCE_EXHAUSTED", "Too many large requests come; try again later")

    def give_back(self, count: int) -> None:
        """Counts bytes no more, also those that were refused."""
        with self._changing:
            self._held -= count
