"""TF Serving's REST routes over an engine, and a page for people."""

import base64
import functools
import json
import socket
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
import uvicorn
from anyio import CapacityLimiter, to_thread
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route
from tensorflow.core.framework import types_pb2

from tfrobust.errors import ReportedError
from tfrobust.serving.engine import DEFAULT_SIGNATURE, Engine, Refused
from tfrobust.serving.models import AVAILABLE, END, LOADING
from tfrobust.serving.settings import Settings

PAGE = Path(__file__).with_name("page.html")
STATES = {LOADING: "LOADING", AVAILABLE: "AVAILABLE", END: "END"}
# TF Serving turns gRPC's codes into these over HTTP.
HTTP = {
    "NOT_FOUND": 404,
    "INVALID_ARGUMENT": 400,
    "FAILED_PRECONDITION": 412,
    "UNAVAILABLE": 503,
    "RESOURCE_EXHAUSTED": 429,
}
POLICY = (
    "default-src 'none'; img-src data: blob:; style-src 'unsafe-inline'; "
    "script-src 'unsafe-inline'; connect-src 'self'; base-uri 'none'; form-action 'none'"
)


class RestServer:
    """Listens on `port` for HTTP requests, in a thread of its own."""

    def __init__(self, engine: Engine, settings: Settings) -> None:
        self._engine, self._most = engine, settings.message_bytes
        # AnyIO's own limit of 40 would keep the queue from ever being full.
        self._threads = CapacityLimiter(settings.threads)
        listening = _listening(settings)
        self.port: int = listening.getsockname()[1]
        one = "/v1/models/{name:str}"
        numbered = one + "/versions/{version:int}"
        routes = [
            Route("/", self._page),
            # The page asks for these two. TF Serving does not have them.
            Route("/v1/models", self._list),
            Route(one + "/labels", self._labels),
        ]
        for path in (numbered, one):
            routes += [
                Route(path + ":predict", self._predict, methods=["POST"]),
                Route(path + "/metadata", self._metadata),
                Route(path, self._status),
            ]
        config = uvicorn.Config(
            Starlette(routes=routes),
            log_level="error",
            timeout_graceful_shutdown=10,
            # This bounds the bodies that are read, too.
            limit_concurrency=settings.threads,
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

    async def _page(self, request: Request) -> Response:
        return HTMLResponse(PAGE.read_text(), headers={"Content-Security-Policy": POLICY})

    async def _list(self, request: Request) -> Response:
        return _json({"models": self._engine.models.names()})

    async def _labels(self, request: Request) -> Response:
        try:
            return _json({"labels": self._engine.find(request.path_params["name"]).labels})
        except Refused as refused:
            return _refusal(refused)

    async def _status(self, request: Request) -> Response:
        name, version = request.path_params["name"], request.path_params.get("version")
        try:
            states = self._engine.states(name, version)
        except Refused as refused:
            return _refusal(refused)
        status = [
            {
                "version": str(number),
                "state": STATES[state],
                "status": {"error_code": "UNKNOWN" if fault else "OK", "error_message": fault},
            }
            for number, (state, fault) in sorted(states.items(), reverse=True)
        ]
        return _json({"model_version_status": status})

    async def _metadata(self, request: Request) -> Response:
        try:
            name = request.path_params["name"]
            version = self._engine.find(name, request.path_params.get("version"))
        except Refused as refused:
            return _refusal(refused)

        signatures = {
            key: {"inputs": _specs(one.inputs), "outputs": _specs(one.outputs)}
            for key, one in version.signatures.items()
        }
        spec = {"name": name, "signature_name": "", "version": str(version.number)}
        return _json(
            {"model_spec": spec, "metadata": {"signature_def": {"signature_def": signatures}}}
        )

    async def _predict(self, request: Request) -> Response:
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > self._most:
                return _refusal(
                    Refused("INVALID_ARGUMENT", f"a request of more than {self._most} bytes")
                )
        name, version = request.path_params["name"], request.path_params.get("version")
        work = functools.partial(self._answer, bytes(body), name, version)
        return await to_thread.run_sync(work, limiter=self._threads)

    def _answer(self, body: bytes, name: str, number: int | None) -> Response:
        try:
            version = self._engine.find(name, number)
            asked = _parsed(body)
            signature = asked.get("signature_name") or DEFAULT_SIGNATURE
            specs = version.inputs.get(signature, {}) if isinstance(signature, str) else {}
            by_row = "instances" in asked
            values = _rows(asked["instances"]) if by_row else asked["inputs"]
            if not isinstance(values, dict):
                values = {next(iter(specs), "inputs"): values}
            inputs = {key: _array(key, value, specs.get(key)) for key, value in values.items()}
            outputs = self._engine.answer(version, str(signature), inputs)
        except Refused as refused:
            return _refusal(refused)
        plain = {key: _plain(value) for key, value in outputs.items()}
        if not by_row:
            return _json({"outputs": next(iter(plain.values())) if len(plain) == 1 else plain})
        if len(plain) == 1:
            return _json({"predictions": next(iter(plain.values()))})
        rows = zip(*plain.values(), strict=True)
        return _json({"predictions": [dict(zip(plain, row, strict=True)) for row in rows]})


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


def _specs(tensors: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: {
            "dtype": types_pb2.DataType.Name(one.dtype),
            "tensor_shape": {"dim": [{"size": str(dim.size)} for dim in one.tensor_shape.dim]},
        }
        for name, one in tensors.items()
    }


def _parsed(body: bytes) -> dict[str, Any]:
    """A request's JSON.

    Raises:
        Refused: the body is no JSON, or has neither rows nor inputs, or both.
    """
    try:
        asked = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Refused("INVALID_ARGUMENT", f"JSON Parse error: {error}") from None
    if not isinstance(asked, dict) or ("instances" in asked) == ("inputs" in asked):
        raise Refused("INVALID_ARGUMENT", "expected a JSON object with 'instances' or 'inputs'")
    return asked


def _rows(instances: Any) -> Any:
    """Turns rows into one list for each input; rows of a single input stay as they are.

    Raises:
        Refused: there are no rows, or they name different inputs.
    """
    if not isinstance(instances, list) or not instances:
        raise Refused("INVALID_ARGUMENT", "expected 'instances' as a list that is not empty")
    if not isinstance(instances[0], dict) or set(instances[0]) == {"b64"}:
        return instances
    names = set(instances[0])
    if any(not isinstance(row, dict) or set(row) != names for row in instances):
        raise Refused("INVALID_ARGUMENT", f"expected every instance to have {sorted(names)}")
    return {name: [row[name] for row in instances] for name in names}


def _array(name: str, value: Any, spec: tf.TensorSpec | None) -> np.ndarray:
    """JSON's lists as an array of the type that the signature names.

    Raises:
        Refused: the lists make no array, or not one of that type.
    """
    try:
        if spec is not None and spec.dtype == tf.string:
            return np.array(_texts(value), object)
        array = np.array(value)
        if array.dtype.kind not in "biuf":
            raise Refused("INVALID_ARGUMENT", f"input {name}: expected numbers in even lists")
        if spec is None:
            return array
        fitting = array.astype(spec.dtype.as_numpy_dtype)
        if spec.dtype.is_integer and not np.array_equal(fitting, array):
            raise Refused("INVALID_ARGUMENT", f"input {name}: expected {spec.dtype.name}s")
        return fitting
    except (ValueError, TypeError, OverflowError, RecursionError) as error:
        raise Refused("INVALID_ARGUMENT", f"input {name}: {error}") from None


def _texts(value: Any) -> Any:
    """Strings as bytes. {"b64": …} can hold any bytes."""
    if isinstance(value, list):
        return [_texts(one) for one in value]
    if isinstance(value, dict) and set(value) == {"b64"}:
        return base64.b64decode(value["b64"], validate=True)
    if isinstance(value, str):
        return value.encode()
    raise ValueError('expected strings, or {"b64": …}')


def _plain(value: np.ndarray) -> Any:
    """An array as JSON's lists. Bytes become text."""
    if value.dtype.kind in "OS":
        return [one.decode("utf-8", "replace") for one in value.ravel()]
    return value.tolist()


def _json(content: Any, status: int = 200) -> Response:
    return Response(json.dumps(content), status, media_type="application/json")


def _refusal(refused: Refused) -> Response:
    return _json({"error": str(refused)}, HTTP.get(refused.code, 500))
