"""The settings of the local server."""

import dataclasses

from tfrobust.errors import InputError


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """Where a server listens, and how much it takes on.

    Args:
        host: the address to listen on, of IPv4 or IPv6. The default lets only this machine in.
        port: the gRPC port; 0 takes a free one.
        rest_port: the port of REST and of the page; 0 takes a free one, None serves neither.
        workers: how many requests are computed at once.
        queue: how many more may wait. Any further request is refused.
        message_bytes: the largest request.
        poll_seconds: seconds between two looks for new versions.
        grace: seconds that requests get to end when the server stops.
    """

    host: str = "127.0.0.1"
    port: int = 8500
    rest_port: int | None = 8501
    workers: int = 2
    queue: int = 64
    message_bytes: int = 64 * 2**20
    poll_seconds: float = 2.0
    grace: float = 10.0

    @property
    def threads(self) -> int:
        """One for each request that is computed or waits, and some to refuse others."""
        return self.workers + self.queue + 4

    @property
    def bare_host(self) -> str:
        """The host without the brackets that an IPv6 address may be given in."""
        return self.host.strip("[]")

    @property
    def address(self) -> str:
        """The host as URLs and gRPC write it before a port: an IPv6 address in brackets."""
        return f"[{self.bare_host}]" if ":" in self.bare_host else self.bare_host

    def __post_init__(self) -> None:
        for name, least in (("workers", 1), ("message_bytes", 1), ("queue", 0), ("grace", 0)):
            if getattr(self, name) < least:
                raise InputError(f"expected {name} of at least {least}, got {getattr(self, name)}")
        if self.poll_seconds <= 0:
            raise InputError(f"expected poll_seconds above 0, got {self.poll_seconds}")
