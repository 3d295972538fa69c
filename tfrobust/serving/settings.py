"""The settings of the local server."""

import dataclasses
from pathlib import Path

from tfrobust.errors import InputError


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """Where a server listens, whom it lets in, and how much it takes on.

    Args:
        host: the address to listen on, of IPv4 or IPv6. The default lets only this machine in.
        port: the gRPC port; 0 takes a free one.
        rest_port: the port of REST and of the page; 0 takes a free one, None serves neither.
        socket_path: a Unix socket on which gRPC listens as well, without TLS: the rights of its
            folder say who may use it. A token is asked for there too.
        workers: how many predictions are computed at once, and as many explanations.
        queue: how many more of each may wait. Any further request is refused.
        most_images: the most images of one request, as max_batch_size of TF Serving's batching.
            `Client` splits what is more.
        message_bytes: the largest request.
        poll_seconds: seconds between two looks for new versions.
        grace: seconds that requests get to end when the server stops; then they are dropped.
        token: what every client must show, as "authorization: Bearer <token>"; None lets everyone
            in who can reach the port.
        certificate: a PEM file with the server's certificate, for TLS on both ports.
        key: a PEM file with its private key.
        client_ca: a PEM file with the certificate that signed those of the clients that are let in.
        allowed_hosts: names by which browsers may reach REST, besides localhost, this machine's
            name, and all addresses in numbers.
    """

    host: str = "127.0.0.1"
    port: int = 8500
    rest_port: int | None = 8501
    socket_path: str | None = None
    workers: int = 2
    queue: int = 64
    most_images: int = 32
    message_bytes: int = 64 * 2**20
    poll_seconds: float = 2.0
    grace: float = 10.0
    token: str | None = dataclasses.field(default=None, repr=False)
    certificate: Path | None = None
    key: Path | None = None
    client_ca: Path | None = None
    allowed_hosts: tuple[str, ...] = ()

    @property
    def threads(self) -> int:
        """One for each prediction and explanation that is computed or waits, and some to refuse."""
        return 2 * (self.workers + self.queue) + 4

    @property
    def bare_host(self) -> str:
        """The host without the brackets that an IPv6 address may be given in."""
        return self.host.strip("[]")

    @property
    def address(self) -> str:
        """The host as URLs and gRPC write it before a port: an IPv6 address in brackets."""
        return f"[{self.bare_host}]" if ":" in self.bare_host else self.bare_host

    @property
    def scheme(self) -> str:
        """How REST is spoken: "http" or "https"."""
        return "https" if self.certificate else "http"

    def __post_init__(self) -> None:
        least_of = {"workers": 1, "message_bytes": 1, "most_images": 1, "queue": 0, "grace": 0}
        for name, least in least_of.items():
            if getattr(self, name) < least:
                raise InputError(f"expected {name} of at least {least}, got {getattr(self, name)}")
        if self.poll_seconds <= 0:
            raise InputError(f"expected poll_seconds above 0, got {self.poll_seconds}")
        if self.token is not None and (not self.token.isascii() or not self.token.isprintable()):
            raise InputError("expected a token of printable ASCII letters")
        if self.token == "":
            raise InputError("expected a token, got an empty one")
        if (self.certificate is None) != (self.key is None):
            raise InputError("expected a certificate and its key, got one of them")
        if self.client_ca is not None and self.certificate is None:
            raise InputError("expected a certificate and its key beside client_ca")
        for path in (self.certificate, self.key, self.client_ca):
            if path is not None and not path.is_file():
                raise InputError(f"expected a PEM file at {path}; there is none")
