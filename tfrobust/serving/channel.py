"""What the gRPC and the REST channel share: whom they ask, when they ask again, what failed."""

import abc
import dataclasses
import os
import random
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np

from tfrobust.errors import InputError, ReportedError, reason_of

# Signature → "inputs" or "outputs" → name → dtype and shape.
Signatures = dict[str, dict[str, dict[str, tuple[str, tuple[int, ...]]]]]

# Seconds between attempts to reach a server. Each wait is up to twice as long as the one before.
FIRST_WAIT, LONGEST_WAIT = 0.1, 2.0
# The most images of one request, as max_batch_size in serving/config/batching.config.
MOST_IMAGES = 32
# What may stand before the colon of a gRPC address.
GRPC_SCHEMES = ("dns", "unix", "unix-abstract", "ipv4", "ipv6", "vsock", "xds")
# What only the server itself says: a proxy between does not answer so.
BY_SERVER = ("INVALID_ARGUMENT", "FAILED_PRECONDITION", "RESOURCE_EXHAUSTED", "UNAUTHENTICATED")

Answer = TypeVar("Answer")


class ServerError(ReportedError):
    """The server refused the request, failed, or could not be reached.

    Args:
        code: gRPC's name of what went wrong, such as "NOT_FOUND" or "DEADLINE_EXCEEDED".
        message: for people.
        reached: whether the request may have reached the server.
    """

    def __init__(self, code: str, message: str, *, reached: bool = True) -> None:
        super().__init__(message)
        self.code, self.reached = code, reached


@dataclasses.dataclass(frozen=True, kw_only=True)
class Address:
    """Which model of which server is asked, and how; see `Client`."""

    server: str
    model: str
    version: int | None = None
    version_label: str | None = None
    timeout: float = 30.0
    certificate: str | Path | None = None
    client_certificate: str | Path | None = None
    client_key: str | Path | None = None
    token: str | None = dataclasses.field(default=None, repr=False)
    metadata: Sequence[tuple[str, str]] = dataclasses.field(default=(), repr=False)
    message_bytes: int = 64 << 20

    def __post_init__(self) -> None:
        if self.timeout <= 0 or self.message_bytes < 1:
            raise InputError(
                "expected a timeout and message_bytes above 0, got "
                f"{self.timeout}, {self.message_bytes}"
            )
        if self.version is not None and self.version_label is not None:
            raise InputError(
                f"expected a version or a version_label, got {self.version} and "
                f"{self.version_label!r}"
            )
        if (self.client_certificate is None) != (self.client_key is None):
            raise InputError("expected a client_certificate and its client_key, got one of them")
        scheme = self.server.partition(":")[0]
        if "://" in self.server and scheme not in ("http", "https", *GRPC_SCHEMES):
            raise InputError(
                "expected host:port of gRPC, or http://host:port or https://host:port of REST, got "
                f"{self.server}"
            )
        if (
            scheme not in ("http", "https", *GRPC_SCHEMES)
            and self.server.count(":") > 1
            and "[" not in self.server
        ):
            raise InputError(
                f"expected an IPv6 address in brackets, as [::1]:8500, got {self.server}"
            )
        for name, value in self.headers:
            if not name or not (name + value).isprintable() or not (name + value).isascii():
                raise InputError(f"expected metadata of printable ASCII letters, got {name!r}")

    @property
    def is_rest(self) -> bool:
        """Whether the server is asked over REST."""
        return self.server.startswith(("http://", "https://"))

    @property
    def host(self) -> str:
        """The server's name without its port."""
        return urllib.parse.urlsplit(f"//{self.server.rpartition('//')[2]}").hostname or ""

    @property
    def headers(self) -> tuple[tuple[str, str], ...]:
        """What goes along with each request: gRPC's metadata, HTTP's headers."""
        token = () if self.token is None else (("authorization", f"Bearer {self.token}"),)
        return (*((name.lower(), value) for name, value in self.metadata), *token)

    def read(self, path: str | Path | None) -> bytes | None:
        """The bytes of a PEM file; None if there is none to use.

        Raises:
            InputError: it cannot be read.
        """
        if path is None:
            return None
        try:
            return Path(path).read_bytes()
        except OSError as error:
            raise InputError(f"expected a certificate or key at {path}: {error}") from None

    def failure(
        self,
        code: str,
        reason: str | None,
        *,
        reached: bool = True,
        proxy_variables: Sequence[str] = (),
    ) -> ServerError:
        """The error to raise for one of gRPC's codes; its message says what to do.

        Args:
            code: the code.
            reason: what the server, or what failed, said.
            reached: whether the request may have reached the server.
            proxy_variables: the environment variables that can name a proxy, of which the first one
                set counts.
        """
        advice = {
            "UNAVAILABLE": "is it running, and is this its port?",
            "DEADLINE_EXCEEDED": f"nothing came within {self.timeout:g} s; ask for fewer "
            "images at a time, or give a longer timeout",
            "RESOURCE_EXHAUSTED": "send fewer images at a time, or raise message_bytes here "
            "and the limit there",
            "NOT_FOUND": f"is {self.model} its name there, and is the version served?",
            "UNAUTHENTICATED": "give the server's token",
        }.get(code, "")
        if "not found in signature def" in (reason or ""):
            advice = "Client.metadata() lists what the model has; tfrobust.export writes all"
        told = reason_of(reason or "no reason given").rstrip(".")
        message = f"{self.server} answered {code}: {told}. {advice}".rstrip()
        if code not in BY_SERVER:
            message += self._about_proxy(proxy_variables)
        return ServerError(code, message, reached=reached)

    def _about_proxy(self, variables: Sequence[str]) -> str:
        """A sentence about the proxy that stands between; "" where none does."""
        for name in variables:
            if proxy := os.environ.get(name):
                if urllib.request.proxy_bypass(self.host):
                    return ""
                # A password may stand before the @.
                shown = proxy.rpartition("//")[2].rpartition("@")[2]
                return (
                    f". The request went through the proxy {shown}, which {name} names: if it "
                    f"should not, set no_proxy={self.host}"
                )
        return ""

    def pauses(self) -> "Pauses":
        """The waits between attempts to reach the server, which end with the timeout."""
        return Pauses(time.monotonic() + self.timeout)


class Pauses:
    """How long to wait before the next attempt.

    Args:
        deadline: when to give up, on the monotonic clock.
    """

    def __init__(self, deadline: float) -> None:
        self._deadline, self._longest = deadline, FIRST_WAIT

    @property
    def left(self) -> float:
        """Seconds until the deadline, above 0."""
        return max(0.001, self._deadline - time.monotonic())

    def after(self, error: ServerError) -> float:
        """Seconds to wait after an attempt that failed.

        Raises:
            ServerError: the error itself, if the server may have taken the request, or if no time
                is left.
        """
        pause = random.uniform(0.5, 1) * self._longest
        self._longest = min(LONGEST_WAIT, 2 * self._longest)
        if error.reached or pause >= self.left:
            raise error
        return pause


class Channel(abc.ABC):
    """A way to ask a server.

    Args:
        address: whom to ask.

    Raises:
        InputError: a certificate or key cannot be read.
    """

    # How many bytes a message has for each byte of its arrays, at most.
    bytes_for_byte: int

    def __init__(self, address: Address) -> None:
        self.address = address

    @abc.abstractmethod
    def close(self) -> None:
        """Ends the connection."""

    @abc.abstractmethod
    def ask(self, signature: str, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Calls a signature: named arrays in, named arrays out.

        Raises:
            ServerError: the server did not answer, or refused.
        """

    @abc.abstractmethod
    def metadata(self) -> Signatures:
        """The model's signatures. A size of −1 means any size.

        Raises:
            ServerError: the server did not answer, or refused.
        """

    @abc.abstractmethod
    def status(self) -> dict[int, str]:
        """The state of each version, by its number.

        Raises:
            ServerError: the server did not answer, or has no such model.
        """


def until_reached(address: Address, once: Callable[[float], Answer]) -> Answer:
    """Tries to reach a server until the timeout.

    Args:
        address: whom to ask.
        once: sends the request, in at most so many seconds.

    Raises:
        ServerError: what `once` raised last. A request that may have reached the server is not sent
            again.
    """
    pauses = address.pauses()
    while True:
        try:
            return once(pauses.left)
        except ServerError as error:
            time.sleep(pauses.after(error))
