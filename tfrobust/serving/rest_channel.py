"""Asks TF Serving over REST, with the standard library alone: no TensorFlow, no gRPC."""

import base64
import http.client
import json
import ssl
import urllib.error
import urllib.parse
import urllib.request
from typing import Any

import numpy as np

from tfrobust.serving import tls
from tfrobust.serving.channel import Address, Channel, ServerError, Signatures, until_reached
from tfrobust.serving.dtypes import as_bytes, check_received, check_sent, dtype_name, fitted
from tfrobust.serving.http_deadline import NotConnected, opener

# TF Serving's REST port turns gRPC's codes into these.
CODES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    412: "FAILED_PRECONDITION",
    413: "RESOURCE_EXHAUSTED",
    429: "RESOURCE_EXHAUSTED",
    501: "UNIMPLEMENTED",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}


class RestChannel(Channel):
    """Asks over REST.

    Numbers travel as text, which takes several times gRPC's bytes, and some milliseconds for every
    hundred kilobytes.

    Args:
        address: whom to ask; its server is "http://host:port" or "https://host:port".

    Raises:
        InputError: a certificate or key cannot be read.
    """

    # float32 as decimal text takes up to 14 letters, with its comma, and some brackets.
    bytes_for_byte = 5

    def __init__(self, address: Address) -> None:
        super().__init__(address)
        self._signatures: Signatures | None = None
        self._opener = opener(tls.context(address))
        self._url = (
            f"{address.server.rstrip('/')}/v1/models/{urllib.parse.quote(address.model, safe='')}"
        )
        if address.version is not None:
            self._url += f"/versions/{address.version}"
        if address.version_label is not None:
            self._url += f"/labels/{urllib.parse.quote(address.version_label, safe='')}"
        scheme = address.server.partition(":")[0]
        self._proxy_variables = (f"{scheme}_proxy", f"{scheme}_proxy".upper())

    def close(self) -> None:
        """Does nothing, as every request has a connection of its own."""

    def ask(self, signature: str, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Calls a signature: named arrays in, named arrays out."""
        values = {name: _to_json(value) for name, value in inputs.items()}
        body = json.dumps({"signature_name": signature, "inputs": values}).encode()
        found = self._told(self._call(":predict", body), "outputs")
        if self._signatures is None:
            # JSON does not say which types the numbers have.
            self._signatures = self.metadata()
        outputs = self._signatures.get(signature, {}).get("outputs", {})
        if len(outputs) == 1:
            # TF Serving leaves out the name of a single output.
            found = {next(iter(outputs)): found}
        try:
            return {name: _from_json(value, outputs[name][0]) for name, value in found.items()}
        except ValueError as error:
            raise self._failure("UNKNOWN", str(error)) from None

    def metadata(self) -> Signatures:
        """The model's signatures."""
        found = self._told(self._call("/metadata"), "metadata", "signature_def", "signature_def")
        return {
            name: {"inputs": _specs(one["inputs"]), "outputs": _specs(one["outputs"])}
            for name, one in found.items()
            if not name.startswith("__")
        }

    def status(self) -> dict[int, str]:
        """The state of each version, by its number."""
        found = self._told(self._call(""), "model_version_status")
        return {int(one["version"]): one["state"] for one in found}

    def _call(self, path: str, body: bytes | None = None) -> Any:
        """Sends a request, again if it did not reach the server, and reads its JSON."""
        if body is not None and len(body) > self.address.message_bytes:
            raise self._failure("RESOURCE_EXHAUSTED", f"the request takes {len(body)} bytes")
        return until_reached(self.address, lambda seconds: self._once(path, body, seconds))

    def _told(self, found: Any, *names: str) -> Any:
        """A field of an answer."""
        for name in names:
            if not isinstance(found, dict) or name not in found:
                raise self._failure("UNKNOWN", f"no {name!r}; is TF Serving's REST there?")
            found = found[name]
        return found

    def _once(self, path: str, body: bytes | None, seconds: float) -> Any:
        request = urllib.request.Request(self._url + path, body, dict(self.address.headers))
        if body is not None:
            request.add_header("Content-Type", "application/json")
        most = self.address.message_bytes
        try:
            with self._opener.open(request, timeout=seconds) as answer:
                text = answer.read(most + 1)
        except urllib.error.HTTPError as error:
            raise self._refusal(error) from None
        except (OSError, http.client.HTTPException) as error:
            raise self._disconnected(getattr(error, "reason", error)) from None
        if len(text) > most:
            raise self._failure("RESOURCE_EXHAUSTED", "the answer is larger than message_bytes")
        try:
            return json.loads(text)
        except ValueError:
            raise self._failure("UNKNOWN", "no JSON; is TF Serving's REST there?") from None

    def _refusal(self, error: urllib.error.HTTPError) -> ServerError:
        """What a status other than 200 means."""
        try:
            reason = _reason(error.read(self.address.message_bytes))
        except (OSError, http.client.HTTPException):
            reason = None
        if 300 <= error.code < 400:
            reason = f"it redirects to {error.headers.get('Location')}, which is not followed"
        return self._failure(CODES.get(error.code, "UNKNOWN"), reason or f"HTTP {error.code}")

    def _disconnected(self, cause: BaseException | str) -> ServerError:
        """What a connection that failed means."""
        reached = not isinstance(cause, NotConnected)
        if isinstance(cause, NotConnected):
            cause = cause.cause
            # A certificate that is not trusted now is not trusted later.
            reached = isinstance(cause, ssl.SSLError)
        if isinstance(cause, TimeoutError):
            return self._failure("DEADLINE_EXCEEDED", "the time is over", reached=reached)
        unavailable = not reached or isinstance(cause, ssl.SSLError)
        code = "UNAVAILABLE" if unavailable else "UNKNOWN"
        return self._failure(code, str(cause), reached=reached)

    def _failure(self, code: str, reason: str, *, reached: bool = True) -> ServerError:
        return self.address.failure(
            code, reason, reached=reached, proxy_variables=self._proxy_variables
        )


def _reason(text: bytes) -> str | None:
    """What TF Serving says of an error; None if another server answered."""
    try:
        return str(json.loads(text)["error"])
    except (ValueError, KeyError, TypeError):
        return None


def _specs(tensors: dict[str, Any]) -> dict[str, tuple[str, tuple[int, ...]]]:
    return {
        name: (
            dtype_name(one["dtype"]),
            tuple(int(dim["size"]) for dim in one["tensor_shape"].get("dim", [])),
        )
        for name, one in tensors.items()
    }


def _to_json(value: np.ndarray) -> Any:
    """An array as lists. Strings and bytes become {"b64": …}.

    Raises:
        InputError: servers do not take its type.
    """
    if check_sent(value) != "string":
        return value.tolist()
    encoded = np.empty(value.shape, object)
    for place, one in np.ndenumerate(value):
        encoded[place] = {"b64": base64.b64encode(as_bytes(one)).decode()}
    return encoded.tolist()


def _from_json(value: Any, dtype: str) -> np.ndarray:
    """Lists as an array of the type that the signature names.

    Raises:
        ValueError: they are none, or the type does not have their numbers.
    """
    check_received(dtype)
    if dtype != "string":
        told = np.array(value)
        # What is neither number nor bool, as null, would be an object.
        if told.dtype.kind not in "biuf":
            raise ValueError(f"expected numbers of {dtype}, got others")
        return fitted(told, dtype)
    found = np.array(value, object)
    for place, one in np.ndenumerate(found):
        found[place] = base64.b64decode(one["b64"]) if isinstance(one, dict) else one.encode()
    return found
