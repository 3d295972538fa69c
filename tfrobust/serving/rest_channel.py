"""Asks TF Serving over REST, with the standard library alone: no TensorFlow, no gRPC."""

import base64
import http.client
import json
import random
import ssl
import time
import urllib.error
import urllib.parse
import urllib.request
from typing import Any

import numpy as np

from tfrobust.errors import InputError
from tfrobust.serving.channel import (
    ATTEMPTS,
    FIRST_WAIT,
    LONGEST_WAIT,
    Address,
    Channel,
    ServerError,
    Signatures,
)

# TF Serving's REST port turns gRPC's codes into these.
CODES = {
    400: "INVALID_ARGUMENT",
    404: "NOT_FOUND",
    412: "FAILED_PRECONDITION",
    413: "RESOURCE_EXHAUSTED",
    429: "RESOURCE_EXHAUSTED",
    501: "UNIMPLEMENTED",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
# JSON names TensorFlow's types so.
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


class RestChannel(Channel):
    """Asks over REST.

    Numbers travel as text, which takes several times gRPC's bytes, and some milliseconds for every
    hundred kilobytes.

    Args:
        address: whom to ask; its server is "http://host:port" or "https://host:port".

    Raises:
        InputError: the certificate cannot be read.
    """

    def __init__(self, address: Address) -> None:
        super().__init__(address)
        self._signatures: Signatures | None = None
        certificate = address.read_certificate()
        try:
            self._tls = ssl.create_default_context(
                cadata=None if certificate is None else certificate.decode()
            )
        except (ssl.SSLError, ValueError) as error:
            raise InputError(
                f"expected a certificate (PEM) at {address.certificate}: {error}"
            ) from None
        self._url = (
            f"{address.server.rstrip('/')}/v1/models/{urllib.parse.quote(address.model, safe='')}"
        )
        if address.version is not None:
            self._url += f"/versions/{address.version}"

    @property
    def proxy_variables(self) -> tuple[str, ...]:
        """The environment variables that can name a proxy, of which the first one set counts."""
        scheme = self.address.server.partition(":")[0]
        return (f"{scheme}_proxy", f"{scheme}_proxy".upper())

    def close(self) -> None:
        """Does nothing, as every request has a connection of its own."""

    def ask(self, signature: str, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Calls a signature: named arrays in, named arrays out."""
        values = {name: _to_json(value) for name, value in inputs.items()}
        body = json.dumps({"signature_name": signature, "inputs": values}).encode()
        found = self._call(":predict", body)["outputs"]
        if self._signatures is None:
            # JSON does not say which types the numbers have.
            self._signatures = self.metadata()
        outputs = self._signatures.get(signature, {}).get("outputs", {})
        if len(outputs) == 1:
            # TF Serving leaves out the name of a single output.
            found = {next(iter(outputs)): found}
        return {name: _from_json(value, outputs[name][0]) for name, value in found.items()}

    def metadata(self) -> Signatures:
        """The model's signatures."""
        found = self._call("/metadata")["metadata"]["signature_def"]["signature_def"]
        return {
            name: {"inputs": _specs(one["inputs"]), "outputs": _specs(one["outputs"])}
            for name, one in found.items()
            if not name.startswith("__")
        }

    def status(self) -> dict[int, str]:
        """The state of each version, by its number."""
        found = self._call("")["model_version_status"]
        return {int(one["version"]): one["state"] for one in found}

    def _call(self, path: str, body: bytes | None = None) -> Any:
        """Sends a request, again if the server did not take it, and reads its JSON."""
        if body is not None and len(body) > self.address.message_bytes:
            raise self.failure("RESOURCE_EXHAUSTED", f"the request takes {len(body)} bytes")
        deadline = time.monotonic() + self.address.timeout
        attempt = 1
        while True:
            try:
                return self._once(path, body, deadline)
            except ServerError as error:
                wait = random.random() * min(LONGEST_WAIT, FIRST_WAIT * 2 ** (attempt - 1))
                late = time.monotonic() + wait >= deadline
                if error.code != "UNAVAILABLE" or late or attempt == ATTEMPTS:
                    raise
            attempt += 1
            time.sleep(wait)

    def _once(self, path: str, body: bytes | None, deadline: float) -> Any:
        request = urllib.request.Request(self._url + path, body)
        if body is not None:
            request.add_header("Content-Type", "application/json")
        most = self.address.message_bytes
        left = max(0.001, deadline - time.monotonic())
        try:
            with urllib.request.urlopen(request, timeout=left, context=self._tls) as answer:
                text = answer.read(most + 1)
        except urllib.error.HTTPError as error:
            reason = _reason(error.read(most)) or f"HTTP {error.code}"
            raise self.failure(CODES.get(error.code, "UNKNOWN"), reason) from None
        except (OSError, http.client.HTTPException) as error:
            cause = getattr(error, "reason", error)
            if isinstance(cause, TimeoutError):
                raise self.failure("DEADLINE_EXCEEDED", "the time is over") from None
            # A request that was refused never reached the server, so it may be sent again.
            refused = isinstance(cause, ConnectionRefusedError)
            raise self.failure("UNAVAILABLE" if refused else "UNKNOWN", str(cause)) from None
        if len(text) > most:
            raise self.failure("RESOURCE_EXHAUSTED", "the answer is larger than message_bytes")
        try:
            return json.loads(text)
        except ValueError:
            raise self.failure("UNKNOWN", "no JSON; is TF Serving's REST there?") from None


def _reason(text: bytes) -> str | None:
    """What TF Serving says of an error; None if another server answered."""
    try:
        return str(json.loads(text)["error"])
    except (ValueError, KeyError, TypeError):
        return None


def _specs(tensors: dict[str, Any]) -> dict[str, tuple[str, tuple[int, ...]]]:
    return {
        name: (
            DTYPES.get(one["dtype"], one["dtype"]),
            tuple(int(dim["size"]) for dim in one["tensor_shape"].get("dim", [])),
        )
        for name, one in tensors.items()
    }


def _to_json(value: np.ndarray) -> Any:
    """An array as lists. Strings and bytes become {"b64": …}."""
    if value.dtype.kind not in "OSU":
        return value.tolist()
    encoded = np.empty(value.shape, object)
    for place, one in np.ndenumerate(value):
        raw = one if isinstance(one, bytes) else str(one).encode()
        encoded[place] = {"b64": base64.b64encode(raw).decode()}
    return encoded.tolist()


def _from_json(value: Any, dtype: str) -> np.ndarray:
    """Lists as an array of the type that the signature names."""
    if dtype != "string":
        return np.array(value, dtype)
    found = np.array(value, object)
    for place, one in np.ndenumerate(found):
        found[place] = base64.b64decode(one["b64"]) if isinstance(one, dict) else one.encode()
    return found
