"""What the gRPC and the REST channel share: whom they ask, when they ask again, what failed."""

import abc
import dataclasses
import os
import urllib.parse
import urllib.request
from pathlib import Path

import numpy as np

from tfrobust.errors import InputError, ReportedError, reason_of

# Signature → "inputs" or "outputs" → name → dtype and shape.
Signatures = dict[str, dict[str, dict[str, tuple[str, tuple[int, ...]]]]]

# A request that the server did not take is sent again, at most so often.
ATTEMPTS = 4
# Seconds between attempts. Each wait is up to twice as long as the one before.
FIRST_WAIT, LONGEST_WAIT = 0.1, 2.0

# What only the server itself says: a proxy between does not answer so.
BY_SERVER = ("INVALID_ARGUMENT", "FAILED_PRECONDITION", "RESOURCE_EXHAUSTED")


class ServerError(ReportedError):
    """The server refused the request, failed, or could not be reached.

    Args:
        code: gRPC's name of what went wrong, such as "NOT_FOUND" or "DEADLINE_EXCEEDED".
        message: for people.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclasses.dataclass(frozen=True, kw_only=True)
class Address:
    """Which model of which server is asked, and how.

    Args:
        server: "host:port" of the gRPC port, or "http://host:port" or "https://host:port" of the
            REST port.
        model: the model's name there.
        version: the version's number; None for the newest.
        timeout: seconds that one request may take, with all its attempts.
        certificate: a PEM file with the certificate that the server's must be signed by. None
            means no TLS over gRPC, and the system's own certificates over https.
        message_bytes: the largest message that is sent or received.
    """

    server: str
    model: str
    version: int | None
    timeout: float
    certificate: str | Path | None
    message_bytes: int

    def __post_init__(self) -> None:
        if self.timeout <= 0 or self.message_bytes < 1:
            raise InputError(
                "expected a timeout and message_bytes above 0, got "
                f"{self.timeout}, {self.message_bytes}"
            )
        if "//" not in self.server and self.server.count(":") > 1 and "[" not in self.server:
            raise InputError(
                f"expected an IPv6 address in brackets, as [::1]:8500, got {self.server}"
            )

    @property
    def host(self) -> str:
        """The server's name without its port."""
        return urllib.parse.urlsplit(f"//{self.server.rpartition('//')[2]}").hostname or ""

    def read_certificate(self) -> bytes | None:
        """The certificate's bytes; None if there is none to use.

        Raises:
            InputError: the file cannot be read.
        """
        if self.certificate is None:
            return None
        try:
            return Path(self.certificate).read_bytes()
        except OSError as error:
            raise InputError(f"expected a certificate at {self.certificate}: {error}") from None


class Channel(abc.ABC):
    """A way to ask a server.

    Args:
        address: whom to ask.

    Raises:
        InputError: the certificate cannot be read.
    """

    def __init__(self, address: Address) -> None:
        self.address = address

    @property
    @abc.abstractmethod
    def proxy_variables(self) -> tuple[str, ...]:
        """The environment variables that can name a proxy, of which the first one set counts."""

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

    def failure(self, code: str, reason: str | None) -> ServerError:
        """The error to raise for one of gRPC's codes; its message says what to do."""
        advice = {
            "UNAVAILABLE": "is it running, and is this its port?",
            "DEADLINE_EXCEEDED": f"nothing came within {self.address.timeout:g} s; ask for fewer "
            "images at a time, or give a longer timeout",
            "RESOURCE_EXHAUSTED": "send fewer images at a time, or raise message_bytes here "
            "and the limit there",
            "NOT_FOUND": f"is {self.address.model} its name there, and is the version served?",
        }.get(code, "")
        told = reason_of(reason or "no reason given").rstrip(".")
        message = f"{self.address.server} answered {code}: {told}. {advice}".rstrip()
        if code not in BY_SERVER:
            message += self._about_proxy()
        return ServerError(code, message)

    def _about_proxy(self) -> str:
        """A sentence about the proxy that stands between; "" where none does."""
        host = self.address.host
        for name in self.proxy_variables:
            if proxy := os.environ.get(name):
                if urllib.request.proxy_bypass(host):
                    return ""
                # A password may stand before the @.
                shown = proxy.rpartition("//")[2].rpartition("@")[2]
                return (
                    f". The request went through the proxy {shown}, which {name} names: if it "
                    f"should not, set no_proxy={host}"
                )
        return ""
