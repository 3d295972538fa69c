"""What of a user's folder is not read, named and counted."""

import logging
import threading
from collections import Counter

LINES = 10  # of the log


class LeftOut:
    """The files of a folder that are not read. It grows when files turn out to be broken later.

    Args:
        passed_over: how many files of each kind are no pictures, such as {".txt": 3}.
    """

    def __init__(self, passed_over: Counter[str] | None = None) -> None:
        self.passed_over = Counter(passed_over or {})
        self._reasons: dict[str, str] = {}
        self._lock = threading.Lock()

    @property
    def names(self) -> tuple[str, ...]:
        """The pictures that cannot be read, relative to the folder, sorted."""
        with self._lock:
            return tuple(sorted(self._reasons))

    @property
    def reasons(self) -> dict[str, str]:
        """Why they cannot be read, by their names."""
        with self._lock:
            return dict(self._reasons)

    def add(self, name: str, reason: str) -> bool:
        """Leaves out a picture; → whether it is new here."""
        with self._lock:
            is_new = name not in self._reasons
            self._reasons[name] = reason
        return is_new

    def log(self) -> None:
        """Logs how much is left out, and why the first ten pictures are."""
        if self._reasons:
            lines = [f"  {name}: {reason}" for name, reason in self._reasons.items()]
            more = [f"  and {len(lines) - LINES} more"] if len(lines) > LINES else []
            logging.getLogger(__name__).warning(
                "%s:\n%s", _unreadable(len(lines)), "\n".join(lines[:LINES] + more)
            )
        if self.passed_over:
            logging.getLogger(__name__).warning("%s", self._passed_over())

    def __str__(self) -> str:
        """One or two sentences for reports and cards."""
        names = self.names
        first = ", ".join(names[:3]) + (", …" if len(names) > 3 else "")
        told = f"{_unreadable(len(names))}{f' ({first})' if names else ''}."
        return f"{told} {self._passed_over()}" if self.passed_over else told

    def _passed_over(self) -> str:
        kinds = ", ".join(f"{count} {kind}" for kind, count in self.passed_over.most_common())
        return f"Files that are no pictures by their names are not read: {kinds}."


def _unreadable(count: int) -> str:
    return f"{count} unreadable file{'' if count == 1 else 's'} left out"
