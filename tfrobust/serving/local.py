"""A local server that speaks TF Serving's gRPC and REST over a folder of models.

It is for development, for tests and for machines without Docker. In production use TF Serving
itself, which batches requests, exports metrics and scales.
"""

import contextlib
import threading
from pathlib import Path
from typing import Self

from tfrobust.serving.engine import Engine
from tfrobust.serving.local_grpc import GrpcServer
from tfrobust.serving.models import Models
from tfrobust.serving.settings import Settings


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
        self._grace = settings.grace
        with contextlib.ExitStack() as undo:
            self._models = Models(root, poll_seconds=settings.poll_seconds)
            undo.callback(self._models.close)
            self.engine = Engine(self._models, settings)
            self._grpc = GrpcServer(self.engine, settings)
            undo.callback(lambda: self._grpc.stop().wait())
            self._rest = None
            if settings.rest_port is not None:
                from tfrobust.serving.local_rest import RestServer

                self._rest = RestServer(self.engine, settings)
            undo.pop_all()
        self.port = self._grpc.port
        self.rest_port = self._rest.port if self._rest else None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Takes no more requests, lets those that came end, and stops.

        What has not ended after the settings' grace is dropped.
        """
        late = threading.Timer(self._grace, self.engine.drop_all)
        late.daemon = True
        late.start()
        ended = self._grpc.stop()
        if self._rest:
            self._rest.close()
        ended.wait()
        late.cancel()
        self.engine.drop_all()
        self._models.close()
