"""The two ways to TF Serving: gRPC, by its stubs, and REST, by the standard library."""

import base64
import http.client
import json
import random
import ssl
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tfrobust.errors import InputError, ReportedError

# Signature → "inputs" or "outputs" → name → dtype and shape.
Signatures = dict[str, dict[str, dict[str, tuple[str, tuple[int, ...]]]]]

ATTEMPTS = 4
FIRST_WAIT, LONGEST_WAIT = 0.1, 2.0  # seconds; each is up to twice the one before
# gRPC's own policy: only what never reached the server is sent again.
RETRIES = {
    "methodConfig": [
        {
            "name": [
                {"service": "tensorflow.serving.PredictionService"},
                {"service": "tensorflow.serving.ModelService"},
            ],
            "retryPolicy": {
                "maxAttempts": ATTEMPTS,
                "initialBackoff": f"{FIRST_WAIT}s",
                "maxBackoff": f"{LONGEST_WAIT:g}s",
                "backoffMultiplier": 2,
                "retryableStatusCodes": ["UNAVAILABLE"],
            },
        }
    ]
}
# What TF Serving's REST makes of gRPC's codes.
OF_HTTP = {
    400: "INVALID_ARGUMENT",
    404: "NOT_FOUND",
    412: "FAILED_PRECONDITION",
    413: "RESOURCE_EXHAUSTED",
    429: "RESOURCE_EXHAUSTED",
    501: "UNIMPLEMENTED",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
# As JSON writes TensorFlow's types.
DTYPES = {
    "DT_FLOAT": "float32",
    "DT_DOUBLE": "float64",
    "DT_HALF": "float16",
    "DT_INT8": "int8",
    "DT_INT16": "int16",
    "DT_INT32": "int32",
    "DT_INT64": "int64",
    "DT_UINT8": "uint8",
    "DT_UINT16": "uint16",
    "DT_UINT32": "uint32",
    "DT_UINT64": "uint64",
    "DT_BOOL": "bool",
    "DT_STRING": "string",
}


class ServerError(ReportedError):
    """The server refused, failed, or cannot be reached.

    Args:
        code: gRPC's name of what went wrong, such as "NOT_FOUND" or "DEADLINE_EXCEEDED".
        message: for people.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class _Channel:
    """What both know: whom they ask, and what errors mean."""

    def __init__(self, server: str, model: str, version: int | None, timeout: float) -> None:
        self.server, self.model, self.version, self.timeout = server, model, version, timeout

    def _failed(self, code: str, told: str | None) -> ServerError:
        advice = {
            "UNAVAILABLE": "is it running, and is this its port?",
            "DEADLINE_EXCEEDED": f"nothing came within {self.timeout:g} s; ask for fewer "
            "images at a time, or give a longer timeout",
            "RESOURCE_EXHAUSTED": "send fewer images at a time, or raise message_bytes here "
            "and the limit there",
            "NOT_FOUND": f"is {self.model} its name there, and the version served?",
        }.get(code, "")
        return ServerError(code, f"{self.server} answered {code}: {told}. {advice}".rstrip())


class GrpcChannel(_Channel):
    """Over gRPC.

    Args:
        server: "host:port".
        model: its name.
        version: None for the newest.
        timeout: seconds.
        certificate: PEM file, or None for no TLS.
        message_bytes: the largest message.

    Raises:
        InputError: no such certificate.
    """

    def __init__(
        self,
        server: str,
        model: str,
        version: int | None,
        *,
        timeout: float,
        certificate: str | Path | None,
        message_bytes: int,
    ) -> None:
        super().__init__(server, model, version, timeout)
        import grpc

        options = [
            ("grpc.max_send_message_length", message_bytes),
            ("grpc.max_receive_message_length", message_bytes),
            ("grpc.service_config", json.dumps(RETRIES)),
        ]
        if certificate is None:
            self._channel = grpc.insecure_channel(server, options)
        else:
            credentials = grpc.ssl_channel_credentials(_read(certificate))
            self._channel = grpc.secure_channel(server, credentials, options)

    def close(self) -> None:
        """Ends the connection."""
        self._channel.close()

    def ask(self, signature: str, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Asks a signature."""
        import tensorflow as tf
        from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

        request = predict_pb2.PredictRequest()
        self._name(request.model_spec)
        request.model_spec.signature_name = signature
        for name, value in inputs.items():
            request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
        stub = prediction_service_pb2_grpc.PredictionServiceStub(self._channel)
        reply = self._call(stub.Predict, request)
        return {name: tf.make_ndarray(value) for name, value in reply.outputs.items()}

    def metadata(self) -> Signatures:
        """The model's signatures."""
        import tensorflow as tf
        from tensorflow_serving.apis import get_model_metadata_pb2, prediction_service_pb2_grpc

        request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
        self._name(request.model_spec)
        stub = prediction_service_pb2_grpc.PredictionServiceStub(self._channel)
        packed = self._call(stub.GetModelMetadata, request).metadata["signature_def"]
        signatures = get_model_metadata_pb2.SignatureDefMap()
        packed.Unpack(signatures)

        def told(tensors: Any) -> dict[str, tuple[str, tuple[int, ...]]]:
            return {
                name: (
                    tf.dtypes.as_dtype(one.dtype).name,
                    tuple(dim.size for dim in one.tensor_shape.dim),
                )
                for name, one in tensors.items()
            }

        return {
            name: {"inputs": told(one.inputs), "outputs": told(one.outputs)}
            for name, one in signatures.signature_def.items()
            if not name.startswith("__")  # TensorFlow's own, such as what initialises tables
        }

    def status(self) -> dict[int, str]:
        """Version → state."""
        from tensorflow_serving.apis import get_model_status_pb2, model_service_pb2_grpc

        request = get_model_status_pb2.GetModelStatusRequest()
        self._name(request.model_spec)
        stub = model_service_pb2_grpc.ModelServiceStub(self._channel)
        reply = self._call(stub.GetModelStatus, request)
        states = get_model_status_pb2.ModelVersionStatus.State
        return {one.version: states.Name(one.state) for one in reply.model_version_status}

    def _name(self, spec: Any) -> None:
        spec.name = self.model
        if self.version is not None:
            spec.version.value = self.version

    def _call(self, method: Callable[..., Any], request: Any) -> Any:
        import grpc

        try:
            return method(request, timeout=self.timeout)
        except grpc.RpcError as error:
            raise self._failed(error.code().name, error.details()) from None


class RestChannel(_Channel):
    """Over REST, as `GrpcChannel`.

    Numbers travel as text: several times the bytes, and some milliseconds a hundred kilobytes.

    Args:
        server: "http://host:port" or "https://host:port".
        model: its name.
        version: None for the newest.
        timeout: seconds.
        certificate: PEM file; the system's own when None.
        message_bytes: the largest message.

    Raises:
        InputError: no such certificate.
    """

    def __init__(
        self,
        server: str,
        model: str,
        version: int | None,
        *,
        timeout: float,
        certificate: str | Path | None,
        message_bytes: int,
    ) -> None:
        super().__init__(server, model, version, timeout)
        self._bytes = message_bytes
        self._signatures: Signatures | None = None
        try:
            self._tls = ssl.create_default_context(
                cadata=None if certificate is None else _read(certificate).decode()
            )
        except (ssl.SSLError, ValueError) as error:
            raise InputError(f"expected a certificate (PEM) at {certificate}: {error}") from None
        path = "/v1/models/" + urllib.parse.quote(model, safe="")
        if version is not None:
            path += f"/versions/{version}"
        self._url = server.rstrip("/") + path

    def close(self) -> None:
        """Nothing stays open."""

    def ask(self, signature: str, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Asks a signature."""
        told = {name: _plain(value) for name, value in inputs.items()}
        body = json.dumps({"signature_name": signature, "inputs": told}).encode()
        found = self._call(":predict", body)["outputs"]
        known = self._known().get(signature, {}).get("outputs", {})
        if len(known) == 1:  # then TF Serving leaves its name out
            found = {next(iter(known)): found}
        return {name: _array(value, known[name][0]) for name, value in found.items()}

    def metadata(self) -> Signatures:
        """The model's signatures."""

        def told(tensors: dict[str, Any]) -> dict[str, tuple[str, tuple[int, ...]]]:
            return {
                name: (
                    DTYPES.get(one["dtype"], one["dtype"]),
                    tuple(int(dim["size"]) for dim in one["tensor_shape"].get("dim", [])),
                )
                for name, one in tensors.items()
            }

        found = self._call("/metadata")["metadata"]["signature_def"]["signature_def"]
        return {
            name: {"inputs": told(one["inputs"]), "outputs": told(one["outputs"])}
            for name, one in found.items()
            if not name.startswith("__")
        }

    def status(self) -> dict[int, str]:
        """Version → state."""
        found = self._call("")["model_version_status"]
        return {int(one["version"]): one["state"] for one in found}

    def _known(self) -> Signatures:
        """The signatures, asked for once: JSON does not tell types."""
        if self._signatures is None:
            self._signatures = self.metadata()
        return self._signatures

    def _call(self, path: str, body: bytes | None = None) -> Any:
        """One request, sent again only while nobody takes it."""
        if body is not None and len(body) > self._bytes:
            raise self._failed("RESOURCE_EXHAUSTED", f"the request takes {len(body)} bytes")
        deadline = time.monotonic() + self.timeout
        for attempt in range(ATTEMPTS):
            try:
                return self._once(path, body, deadline)
            except ServerError as error:
                wait = random.random() * min(LONGEST_WAIT, FIRST_WAIT * 2**attempt)
                late = time.monotonic() + wait >= deadline
                if error.code != "UNAVAILABLE" or late or attempt == ATTEMPTS - 1:
                    raise
            time.sleep(wait)
        raise AssertionError("the last attempt returns or raises")

    def _once(self, path: str, body: bytes | None, deadline: float) -> Any:
        request = urllib.request.Request(self._url + path, body)
        if body is not None:
            request.add_header("Content-Type", "application/json")
        left = max(0.001, deadline - time.monotonic())
        try:
            with urllib.request.urlopen(request, timeout=left, context=self._tls) as answer:
                text = answer.read(self._bytes + 1)
        except urllib.error.HTTPError as error:
            text = error.read(self._bytes)
            code = OF_HTTP.get(error.code, "UNKNOWN")
            try:
                told = str(json.loads(text)["error"])
            except (ValueError, KeyError, TypeError):
                told = f"HTTP {error.code}"
            raise self._failed(code, told) from None
        except TimeoutError:
            raise self._failed("DEADLINE_EXCEEDED", "the time is over") from None
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", error)
            if isinstance(reason, TimeoutError):
                raise self._failed("DEADLINE_EXCEEDED", "the time is over") from None
            # Only what was never taken may be sent again.
            refused = isinstance(reason, ConnectionRefusedError)
            raise self._failed("UNAVAILABLE" if refused else "UNKNOWN", str(reason)) from None
        if len(text) > self._bytes:
            raise self._failed("RESOURCE_EXHAUSTED", "the answer is larger than message_bytes")
        try:
            return json.loads(text)
        except ValueError:
            raise self._failed("UNKNOWN", "no JSON; is TF Serving's REST there?") from None


def _plain(value: np.ndarray) -> Any:
    """JSON's own types; strings and bytes as {"b64": …}."""
    if value.dtype.kind in "OSU":
        told = np.empty(value.shape, object)
        for place, one in np.ndenumerate(value):
            raw = one if isinstance(one, bytes) else str(one).encode()
            told[place] = {"b64": base64.b64encode(raw).decode()}
        return told.tolist()
    return value.tolist()


def _array(value: Any, dtype: str) -> np.ndarray:
    if dtype != "string":
        return np.array(value, dtype)
    found = np.array(value, object)
    for place, one in np.ndenumerate(found):
        found[place] = base64.b64decode(one["b64"]) if isinstance(one, dict) else one.encode()
    return found


def _read(certificate: str | Path) -> bytes:
    try:
        return Path(certificate).read_bytes()
    except OSError as error:
        raise InputError(f"expected a certificate at {certificate}: {error}") from None
