"""A page on which a person marks what is evidence in pictures, on this machine."""

import base64
import binascii
import json
import re
from pathlib import Path
from typing import Any, Self

from anyio import to_thread
from starlette.requests import Request
from starlette.responses import Response

from tfrobust.errors import InputError
from tfrobust.serving.annotation_desk import Desk
from tfrobust.serving.http_thread import HttpThread, app_of, page_file
from tfrobust.serving.settings import Settings

PAGE = Path(__file__).with_name("annotate_page")
# Path → file and type, of what a browser loads of the page.
PAGE_FILES = {
    "/": ("index.html", "text/html"),
    "/annotate.css": ("annotate.css", "text/css"),
    "/annotate.js": ("annotate.js", "text/javascript"),
    "/marks.js": ("marks.js", "text/javascript"),
    "/told.js": ("../page/told.js", "text/javascript"),
}
PICTURE = re.compile(r"/pictures/(\d{1,9})")
# Of a request beside the marks themselves: who marked, and JSON around it.
MORE_BYTES = 4096


class AnnotationServer:
    """Serves pictures to mark until it is closed.

    Args:
        desk: the pictures.
        settings: its host, rest_port, token and allowed_hosts.

    Attributes:
        port: the port that it listens on.

    Raises:
        ReportedError: the port is taken.
    """

    def __init__(self, desk: Desk, settings: Settings) -> None:
        self._desk = desk
        app = app_of(self._answer, InputError, lambda error: _json({"error": str(error)}, 400))
        self._http = HttpThread(app, settings, open_paths=PAGE_FILES)
        self.port = self._http.port

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._http.close()

    async def _answer(self, request: Request) -> Response:
        method, path = request.method, request.url.path
        if method in ("GET", "HEAD") and path in PAGE_FILES:
            name, kind = PAGE_FILES[path]
            return page_file(PAGE / name, kind)
        if method == "GET" and path == "/pictures":
            return _json({"pictures": await to_thread.run_sync(self._desk.listed)})
        told = PICTURE.fullmatch(path)
        if told is None or int(told[1]) >= len(self._desk) or method not in ("GET", "POST"):
            return _json({"error": f"there is nothing at {method} {path}"}, 404)
        number = int(told[1])
        if method == "GET":
            return _json(await to_thread.run_sync(self._desk.shown, number))
        who, marks = _read(await self._body(request))
        kept = await to_thread.run_sync(self._desk.keep, number, who, marks)
        return _json({"kept": kept and kept.name})

    async def _body(self, request: Request) -> bytes:
        """The body of a request, of which no more is read than marks can have."""
        most = 2 * self._desk.mask_values + MORE_BYTES
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > most:
                raise InputError(f"expected marks in at most {most} bytes")
        return bytes(body)


def _read(body: bytes) -> tuple[str, bytes]:
    """Who marked, and the marks."""
    try:
        content = json.loads(body)
        who, marks = content["who"], content["marks"]
        if not isinstance(who, str) or not isinstance(marks, str):
            raise TypeError("both are text")
        who.encode()  # JSON may hold halves of letters
        return who, base64.b64decode(marks, validate=True)
    except (ValueError, KeyError, TypeError, RecursionError, binascii.Error) as error:
        raise InputError(
            f'expected JSON with "who" and "marks", the marks in base64, got: {error}'
        ) from None


def _json(content: Any, status: int = 200) -> Response:
    return Response(
        json.dumps(content),
        status,
        media_type="application/json",
        headers={"Cache-Control": "no-store"},
    )
