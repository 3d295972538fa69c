"""TF Serving's REST routes over an engine, and a page for people."""

import asyncio
import base64
import functools
import json
import re
import threading
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from anyio import CapacityLimiter, to_thread
from google.protobuf import json_format
from starlette.requests import Request
from starlette.responses import Response

from tfrobust.serving import rest_json
from tfrobust.serving.budget import Budget, Counted
from tfrobust.serving.engine import Announced, Engine
from tfrobust.serving.http_thread import HttpThread, app_of, page_file
from tfrobust.serving.models import AVAILABLE, END, LOADING
from tfrobust.serving.refused import Refused
from tfrobust.serving.settings import Settings
from tfrobust.serving.version import Version

PAGE = Path(__file__).with_name("page")
# Path → file and type, of what a browser loads of the page.
PAGE_FILES = {
    "/": ("index.html", "text/html"),
    "/page.css": ("page.css", "text/css"),
    "/told.js": ("told.js", "text/javascript"),
    "/model.js": ("model.js", "text/javascript"),
    "/look.js": ("look.js", "text/javascript"),
}
STATES = {LOADING: "LOADING", AVAILABLE: "AVAILABLE", END: "END"}
# TF Serving's ToHTTPStatusCode.
HTTP = {
    "NOT_FOUND": 404,
    "INVALID_ARGUMENT": 400,
    "FAILED_PRECONDITION": 400,
    "UNAVAILABLE": 503,
    "RESOURCE_EXHAUSTED": 429,
    "CANCELLED": 499,
}
# TF Serving's kPredictionApiRegex and kModelStatusApiRegex. "labels" and "samples" alone are ours,
# for the page.
WHICH = r"/v1/models/(?P<name>[^/:]+)(?:/versions/(?P<version>\d+)|/labels/(?P<label>[^/:]+))?"
POST = re.compile(WHICH + r":(?P<verb>classify|regress|predict)", re.IGNORECASE)
GET = re.compile(WHICH + r"(?:/(?P<verb>metadata|labels|samples))?", re.IGNORECASE)
KINDS = {"classify": "classification", "regress": "regression"}


class RestServer:
    """Listens on `port` for HTTP requests, in a thread of its own.

    Raises:
        ReportedError: the port is taken.
    """

    def __init__(self, engine: Engine, settings: Settings) -> None:
        self._engine, self._most = engine, settings.message_bytes
        self._budget = Budget(settings.message_bytes)
        # AnyIO's own limit of 40 would keep the queue from ever being full.
        self._threads = CapacityLimiter(settings.threads)
        # Parsed JSON takes many times its bytes, so only one body is parsed at a time.
        self._parsing = threading.Lock()
        app = app_of(self._route, Refused, _refusal)
        self._http = HttpThread(app, settings, open_paths=PAGE_FILES)
        self.port = self._http.port

    def close(self) -> None:
        """Lets the requests that came end, and stops."""
        self._http.close()

    async def _route(self, request: Request) -> Response:
        path = request.scope["raw_path"].decode("latin-1")
        method = "GET" if request.method == "HEAD" else request.method
        if method == "GET" and path in PAGE_FILES:
            name, kind = PAGE_FILES[path]
            return page_file(PAGE / name, kind)
        if method == "GET" and path == "/v1/models":  # TF Serving does not have it.
            return _json({"models": self._engine.models.names()})
        told = {"GET": GET, "POST": POST}.get(method, GET).fullmatch(path)
        if method not in ("GET", "POST") or told is None:
            if path.lower().startswith("/v1/"):
                raise Refused("INVALID_ARGUMENT", f"Malformed request: {method} {path}")
            raise Refused("NOT_FOUND", f"there is nothing at {path}")
        which = _which(told)
        if method == "POST" and told["verb"].lower() == "predict":
            return await self._predict(request, which)
        return self._answer_at_once(told["verb"], which)

    def _answer_at_once(self, verb: str | None, which: dict[str, Any]) -> Response:
        """Answers what needs no computing."""
        verb = verb and verb.lower()
        if verb in KINDS:
            self._engine.refuse_examples(self._engine.find(**which), "", KINDS[verb], verb)
        if verb == "metadata":
            return _metadata(self._engine.find(**which), which["name"])
        if verb == "labels":
            return _json({"labels": self._engine.find(**which).labels})
        if verb == "samples":
            samples = self._engine.find(**which).samples
            return _json({"samples": [base64.b64encode(png).decode() for png in samples]})
        return _status(self._engine.states(**which))

    async def _predict(self, request: Request, which: dict[str, Any]) -> Response:
        body = bytearray()
        left = threading.Event()
        with Counted(self._budget) as counted:
            async for chunk in request.stream():
                body += chunk
                counted.grow(len(chunk))
                if len(body) > self._most:
                    raise Refused("INVALID_ARGUMENT", f"a request of more than {self._most} bytes")
            zipped = request.headers.get("content-encoding", "").lower() == "gzip"
            work = functools.partial(self._answer, bytes(body), zipped, which, left)
            body.clear()  # Only the copy is counted.
            watching = asyncio.create_task(_watch(request, left))
            try:
                return await to_thread.run_sync(work, limiter=self._threads, abandon_on_cancel=True)
            finally:
                watching.cancel()
                left.set()

    def _answer(
        self, body: bytes, zipped: bool, which: dict[str, Any], left: threading.Event
    ) -> Response:
        try:
            version = self._engine.find(**which)
            with self._parsing:
                asked = rest_json.read(
                    rest_json.unzipped(body, self._most) if zipped else body, version
                )
            inputs = {name: Announced.of(array) for name, array in asked.inputs.items()}
            outputs = self._engine.answer(version, asked.signature, inputs, left)
        except Refused as refused:
            return _refusal(refused)
        return _json(rest_json.write(outputs, by_row=asked.by_row))


async def _watch(request: Request, left: threading.Event) -> None:
    """Waits for the client to leave."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
    left.set()


def _which(told: re.Match[str]) -> dict[str, Any]:
    """The model and version that a path names.

    Raises:
        Refused: the version is no number of 64 bits.
    """
    number = None if told["version"] is None else int(told["version"])
    if number is not None and number >= 2**63:
        raise Refused(
            "INVALID_ARGUMENT", f"Failed to convert version: {told['version']} to numeric."
        )
    return {"name": unquote(told["name"]), "version": number, "label": unquote(told["label"] or "")}


def _status(states: dict[int, tuple[int, str]]) -> Response:
    status = [
        {
            "version": str(number),
            "state": STATES[state],
            "status": {"error_code": "UNKNOWN" if fault else "OK", "error_message": fault},
        }
        for number, (state, fault) in sorted(states.items(), reverse=True)
    ]
    return _json({"model_version_status": status})


def _metadata(version: Version, name: str) -> Response:
    signatures = {
        key: json_format.MessageToDict(
            definition, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
        )
        for key, definition in version.signatures.items()
    }
    spec = {"name": name, "signature_name": "", "version": str(version.number)}
    return _json({"model_spec": spec, "metadata": {"signature_def": {"signature_def": signatures}}})


def _json(content: Any, status: int = 200) -> Response:
    return Response(json.dumps(content), status, media_type="application/json")


def _refusal(refused: Refused) -> Response:
    return _json({"error": str(refused)}, HTTP.get(refused.code, 500))
