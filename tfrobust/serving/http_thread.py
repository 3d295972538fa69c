"""An HTTP server in a thread of its own, with the guards that all of ours have."""

import json
import logging
import math
import socket
import ssl
import threading
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import TypeVar

import uvicorn
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from tfrobust.errors import ReportedError
from tfrobust.serving.browser_guard import BrowserGuard
from tfrobust.serving.connections import impatient_protocol
from tfrobust.serving.settings import Settings

# What a page may load: its own files, and pictures that it makes.
POLICY = (
    "default-src 'none'; img-src data: blob:; style-src 'self'; script-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


Refusal = TypeVar("Refusal", bound=Exception)


def page_file(path: Path, kind: str) -> Response:
    """A file of a page, which the browser lets load nothing from elsewhere.

    Args:
        path: of the file.
        kind: its media type.
    """
    policy = {"Content-Security-Policy": POLICY}
    return Response(path.read_text(), media_type=kind, headers=policy)


def app_of(
    answer: Callable[[Request], Awaitable[Response]],
    refused: type[Refusal],
    told: Callable[[Refusal], Response],
) -> ASGIApp:
    """What answers every request, also where a fault of ours is in the way.

    Args:
        answer: gives the response to a request.
        refused: what it raises where a request is wrong.
        told: gives the response that says so.
    """

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            response = await answer(Request(scope, receive))
        except refused as error:
            response = told(error)
        except ClientDisconnect:
            return
        except Exception:
            logging.exception("a request was not answered")
            content = json.dumps({"error": "the server failed; its log says more"})
            response = Response(content, 500, media_type="application/json")
        await response(scope, receive, send)

    return app


class HttpThread:
    """Listens on the settings' `rest_port` until it is closed.

    Args:
        app: what answers the requests that are let through.
        settings: where to listen, and whom to let in.
        open_paths: paths that need no token.

    Attributes:
        port: the port that it listens on.

    Raises:
        ReportedError: the port is taken, or the host is not this machine's.
    """

    def __init__(self, app: ASGIApp, settings: Settings, open_paths: Iterable[str]) -> None:
        listening = _listening(settings)
        self.port: int = listening.getsockname()[1]
        config = uvicorn.Config(
            BrowserGuard(app, settings.allowed_hosts, settings.token, open_paths=open_paths),
            http=impatient_protocol(),
            ws="none",
            lifespan="off",
            log_level="error",
            timeout_graceful_shutdown=math.ceil(settings.grace),
            ssl_certfile=settings.certificate,
            ssl_keyfile=settings.key,
            ssl_ca_certs=None if settings.client_ca is None else str(settings.client_ca),
            ssl_cert_reqs=ssl.CERT_REQUIRED if settings.client_ca else ssl.CERT_NONE,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [listening]}, daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Lets the requests that came end, and stops."""
        self._server.should_exit = True
        self._thread.join()


def _listening(settings: Settings) -> socket.socket:
    """A socket on the REST port, of whichever family the host is.

    Raises:
        ReportedError: the port is taken, or the host is not this machine's.
    """
    host = settings.bare_host
    try:
        family = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)[0][0]
        # As gRPC does, "::" listens to IPv4 as well.
        both = host == "::" and socket.has_dualstack_ipv6()
        return socket.create_server(
            (host, settings.rest_port or 0), family=family, dualstack_ipv6=both
        )
    except OSError as error:
        raise ReportedError(
            f"cannot listen on {settings.address}:{settings.rest_port}: {error}; name another "
            "rest_port, or another host"
        ) from None
