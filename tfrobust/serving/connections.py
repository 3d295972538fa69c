"""HTTP connections that cannot be held open by sending nothing, or a byte now and then.

uvicorn closes connections that are idle after an answer. It waits for ever for the first request,
for the rest of one that has begun, and for a client that does not read.
"""

import asyncio
from typing import Any, ClassVar

from uvicorn.protocols.http.auto import AutoHTTPProtocol

# A request gets so many seconds to come, and one more for each so many bytes that have come, as
# Apache's RequestReadTimeout does. An answer gets as many to be read on.
SECONDS = 20.0
LEAST_BYTES_A_SECOND = 20_000
# Where there are more, the one whose request is waited for longest is closed.
MOST_CONNECTIONS = 256


class ImpatientProtocol(AutoHTTPProtocol):  # type: ignore[misc,valid-type]
    """uvicorn's protocol, which closes a connection whose client keeps it waiting."""

    # Those whose request is waited for, the longest first. Each server has its own.
    waited_for: ClassVar[dict["ImpatientProtocol", None]]
    _timer: asyncio.TimerHandle | None = None
    _reader_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """Begins to wait for a request."""
        super().connection_made(transport)
        self._wait()
        while len(self.connections) > MOST_CONNECTIONS and len(self.waited_for) > 1:
            next(iter(self.waited_for))._give_up()

    def connection_lost(self, exc: Exception | None) -> None:
        """Waits no more."""
        self._stop_waiting()
        if self._reader_timer is not None:
            self._reader_timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Takes what came; waits on, or stops if the request is whole."""
        self._came += len(data)
        super().data_received(data)
        if self.cycle is None or self.cycle.response_complete or self.cycle.more_body:
            self._wait()
        else:
            self._stop_waiting()

    def on_response_complete(self) -> None:
        """Waits for the next request."""
        self._wait()
        super().on_response_complete()

    def pause_writing(self) -> None:
        """Waits for the client to read."""
        super().pause_writing()
        self._wait_for_reader()

    def resume_writing(self) -> None:
        """Has more to write, or waits for the next request."""
        if self._reader_timer is not None:
            self._reader_timer.cancel()
        self._reader_timer = None
        if self.cycle is not None and self.cycle.response_complete:
            self._wait()
        super().resume_writing()

    def _wait(self) -> None:
        if self._timer is None and self._reader_timer is None:
            self._began, self._came = self.loop.time(), 0
            self._timer = self.loop.call_later(SECONDS, self._check)
            self.waited_for[self] = None

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None
        self.waited_for.pop(self, None)

    def _check(self) -> None:
        # What comes after the answer is passed over, and not waited for any longer.
        answered = self.cycle is not None and self.cycle.response_complete
        allowed = SECONDS + (0 if answered else self._came / LEAST_BYTES_A_SECOND)
        left = self._began + allowed - self.loop.time()
        if left <= 0:
            self._give_up()
        else:
            self._timer = self.loop.call_later(left, self._check)

    def _wait_for_reader(self) -> None:
        self._unread = self.transport.get_write_buffer_size()
        self._reader_timer = self.loop.call_later(SECONDS, self._check_reader)

    def _check_reader(self) -> None:
        # A large answer is one piece, so much may be read before there is more to write.
        read = self._unread - self.transport.get_write_buffer_size()
        if read < SECONDS * LEAST_BYTES_A_SECOND:
            self._give_up()
        else:
            self._wait_for_reader()

    def _give_up(self) -> None:
        self._stop_waiting()
        # It is counted no more, though it is told to be lost a little later.
        self.connections.discard(self)
        self.transport.abort()


def impatient_protocol() -> type[ImpatientProtocol]:
    """The protocol for one server."""
    return type("ServersProtocol", (ImpatientProtocol,), {"waited_for": {}})
