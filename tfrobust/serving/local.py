"""A local server that speaks TF Serving's gRPC and REST over a folder of models.

It is for development, for tests and for machines without Docker. In production use TF Serving
itself, which batches requests, exports metrics and scales.
"""

import contextlib
import dataclasses
from pathlib import Path
from typing import Self

from tfrobust.errors import InputError
from tfrobust.serving.engine import Engine
from tfrobust.serving.local_grpc import GrpcServer
from tfrobust.serving.models import Models


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """Where a server listens, and how much it takes on.

    Args:
        host: the address to listen on. The default lets only this machine in.
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

    def __post_init__(self) -> None:
        for name, least in (("workers", 1), ("message_bytes", 1), ("queue", 0), ("grace", 0)):
            if getattr(self, name) < least:
                raise InputError(f"expected {name} of at least {least}, got {getattr(self, name)}")
        if self.poll_seconds <= 0:
            raise InputError(f"expected poll_seconds above 0, got {self.poll_seconds}")


class Server:
    """Serves a folder of models until it is closed.

    Args:
        root: the folder, which holds <name>/<version>/ for every model.
        settings: where to listen and how much to take on; the defaults when None.

    Attributes:
        port: the gRPC port that it listens on.
        rest_port: the REST port; None without REST.

    Raises:
        InputError: the folder holds no model that can be loaded.
        ReportedError: a port is taken.
    """

    def __init__(self, root: Path, settings: Settings | None = None) -> None:
        settings = settings or Settings()
        with contextlib.ExitStack() as undo:
            self._models = Models(root, poll_seconds=settings.poll_seconds)
            undo.callback(self._models.close)
            self.engine = Engine(
                self._models,
                workers=settings.workers,
                queue=settings.queue,
                most_bytes=settings.message_bytes,
            )
            self._grpc = GrpcServer(
                self.engine,
                host=settings.host,
                port=settings.port,
                message_bytes=settings.message_bytes,
                threads=settings.threads,
            )
            undo.callback(self._grpc.stop, 0)
            self._rest = None
            if settings.rest_port is not None:
                from tfrobust.serving.local_rest import RestServer

                self._rest = RestServer(
                    self.engine,
                    host=settings.host,
                    port=settings.rest_port,
                    message_bytes=settings.message_bytes,
                    threads=settings.threads,
                )
            undo.pop_all()
        self._grace = settings.grace
        self.port = self._grpc.port
        self.rest_port = self._rest.port if self._rest else None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Takes no more requests, lets those that came end, and stops."""
        ended = self._grpc.stop(self._grace)
        if self._rest:
            self._rest.close()
        ended.wait()
        self._models.close()
