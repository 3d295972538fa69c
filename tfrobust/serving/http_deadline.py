"""An HTTP opener that holds a deadline, follows no redirect, and tells what was never sent.

`urllib`'s timeout is for each wait on its own: a server that sends a byte now and then holds a
client for ever.
"""

import functools
import http.client
import io
import socket
import ssl
import time
import urllib.request
from typing import Any


class NotConnected(OSError):
    """The server could not be reached, so nothing was sent.

    Args:
        cause: why.
    """

    def __init__(self, cause: OSError) -> None:
        super().__init__(str(cause))
        self.cause = cause


class _Deadlined(io.RawIOBase):
    """What a socket sends, until a moment of the monotonic clock."""

    def __init__(self, stream: io.BufferedReader, sock: socket.socket, deadline: float) -> None:
        super().__init__()
        self._stream, self._sock, self._deadline = stream, sock, deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        self._sock.settimeout(left)
        return self._stream.readinto1(buffer)

    def close(self) -> None:
        self._stream.close()
        super().close()


class _Response(http.client.HTTPResponse):
    def __init__(self, sock: socket.socket, *args: Any, deadline: float, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp = io.BufferedReader(_Deadlined(self.fp, sock, deadline))


class _Deadline:
    """Mixed into http.client's connections."""

    def __init__(self, host: str, *, timeout: float, **kwargs: Any) -> None:
        super().__init__(host, timeout=timeout, **kwargs)  # type: ignore[call-arg]
        self.response_class = functools.partial(_Response, deadline=time.monotonic() + timeout)

    def connect(self) -> None:
        try:
            super().connect()  # type: ignore[misc]
        except OSError as error:
            raise NotConnected(error) from None


class _Connection(_Deadline, http.client.HTTPConnection):  # type: ignore[misc]
    pass


class _SecureConnection(_Deadline, http.client.HTTPSConnection):  # type: ignore[misc]
    pass


class _Handler(urllib.request.HTTPHandler):
    def http_open(self, request: urllib.request.Request) -> Any:
        return self.do_open(_Connection, request)  # type: ignore[arg-type]


class _SecureHandler(urllib.request.HTTPSHandler):
    def https_open(self, request: urllib.request.Request) -> Any:
        return self.do_open(
            _SecureConnection,  # type: ignore[arg-type]
            request,
            context=self._context,  # type: ignore[attr-defined]
        )


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect is an error: the request may hold a token, and is for this server alone."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


def opener(context: ssl.SSLContext) -> urllib.request.OpenerDirector:
    """Makes an opener; the `timeout` of its `open` is for the whole request.

    Args:
        context: for https.
    """
    return urllib.request.build_opener(_Handler, _SecureHandler(context=context), _NoRedirect)
