"""Whom REST lets in: browsers only from its own page, and only who shows the token.

A page of a stranger can send requests to servers of the machine on which it is looked at, and can
give its own name an address of that machine (DNS rebinding). So a Host that is a name must be one
of the server's, and an Origin must be the server's own page.
"""

import hmac
import ipaddress
import json
import socket
import urllib.parse
from collections.abc import Iterable
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send


class BrowserGuard:
    """An ASGI middleware that refuses with 403 and 401.

    Args:
        app: what answers the requests that are let through.
        names: host names by which this server is reached, besides localhost, the machine's own name
            and all addresses in numbers.
        token: what to show as "authorization: Bearer <token>"; None for nothing.
        open_paths: paths that need no token.
    """

    def __init__(
        self, app: ASGIApp, names: Iterable[str], token: str | None, open_paths: Iterable[str]
    ) -> None:
        self._app, self._open_paths = app, frozenset(open_paths)
        self._names = {"localhost", socket.gethostname().lower(), *map(str.lower, names)}
        self._expected = None if token is None else f"Bearer {token}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers, or lets through."""
        if scope["type"] == "http" and (refusal := self._refusal(scope)):
            await _send(send, *refusal)
        else:
            await self._app(scope, receive, send)

    def _refusal(self, scope: Scope) -> tuple[int, str] | None:
        """The status and the words for a request that is not let through."""
        headers = dict(scope["headers"])
        host = headers.get(b"host", b"").decode("latin-1")
        if not self._is_ours(host):
            return 403, (
                f"The host {host} is not among this server's names; it may be named when the "
                "server starts (--allowed_hosts)"
            )
        origin = headers.get(b"origin")
        if origin is not None and origin.partition(b"://")[2] != host.encode("latin-1"):
            return 403, f"A page of {origin.decode('latin-1')} may not ask this server"
        if headers.get(b"sec-fetch-site") == b"cross-site" and scope["method"] != "GET":
            return 403, "A page of another site may not ask this server"
        if self._expected is not None and scope["path"] not in self._open_paths:
            shown = headers.get(b"authorization", b"")
            if not hmac.compare_digest(shown, self._expected):
                return 401, 'expected the header "Authorization: Bearer <token>"'
        return None

    def _is_ours(self, host: str) -> bool:
        if not host:
            return True  # HTTP/1.0. No browser leaves it out.
        try:
            name = urllib.parse.urlsplit(f"//{host}").hostname or ""
            if name in self._names or name.endswith(".localhost"):
                return True
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True


async def _send(send: Send, status: int, words: str) -> None:
    body = json.dumps({"error": words}).encode()
    headers: list[Any] = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
    ]
    if status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
