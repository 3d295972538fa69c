"""What the gRPC and the REST channel share: whom they ask, when they ask again, what failed."""

import abc
import dataclasses
from pathlib import Path

import numpy as np

from tfrobust.errors import InputError, ReportedError

# Signature → "inputs" or "outputs" → name → dtype and shape.
Signatures = dict[str, dict[str, dict[str, tuple[str, tuple[int, ...]]]]]

# A request that the server did not take is sent again, at most so often.
ATTEMPTS = 4
# Seconds between attempts. Each wait is up to twice as long as the one before.
FIRST_WAIT, LONGEST_WAIT = 0.1, 2.0


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
        message = f"{self.address.server} answered {code}: {reason}. {advice}"
        return ServerError(code, message.rstrip())
