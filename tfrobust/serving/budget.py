"""How many bytes of requests are held at one time."""

import threading
from typing import Self

from tfrobust.serving.refused import Refused

# All messages of a protocol that come or wait may take so many times the largest.
LARGEST = 4
# The first bytes of each are free, so that a few large ones keep no small ones out.
FREE = 2**20


class Budget:
    """Bytes that may be held at one time.

    Args:
        largest: the most bytes of one message.
    """

    def __init__(self, largest: int) -> None:
        self._most, self._held = LARGEST * largest, 0
        self._changing = threading.Lock()

    def change(self, count: int) -> bool:
        """Holds so many bytes more, or less; gives whether they are not too many."""
        with self._changing:
            self._held += count
            return self._held <= self._most


class Counted:
    """One message, counted until its context is left.

    Args:
        budget: what it is counted in.
    """

    def __init__(self, budget: Budget) -> None:
        self._budget, self._size = budget, 0

    def grow(self, count: int) -> None:
        """Counts bytes that came.

        Raises:
            Refused: with them there are too many.
        """
        before = self._counted()
        self._size += count
        if not self._budget.change(self._counted() - before):
            raise Refused("RESOURCE_EXHAUSTED", "Too many large requests come; try again later")

    def _counted(self) -> int:
        return max(0, self._size - FREE)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._budget.change(-self._counted())
