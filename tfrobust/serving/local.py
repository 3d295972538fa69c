"""A server of TF Serving's gRPC services over a folder of models, in this process.

For development, tests and machines without Docker; in production TF Serving answers, which
batches, measures and scales. Predict, GetModelMetadata and GetModelStatus give its codes.
"""

import dataclasses
from concurrent import futures
from pathlib import Path
from typing import Any, Self

import grpc
import numpy as np
import tensorflow as tf
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from tfrobust.errors import InputError, ReportedError
from tfrobust.serving.engine import DEFAULT_SIGNATURE, Engine, Refused
from tfrobust.serving.models import Models, Version

METADATA = "signature_def"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """How a server listens and what it bears.

    Args:
        host: whom it listens to; other machines only if told.
        port: of gRPC; 0 takes a free one.
        rest_port: of REST and the page; 0 takes a free one, None does without.
        workers: requests computed at once.
        queue: requests that wait; one more is refused.
        message_bytes: the largest request.
        poll_seconds: between looks for new versions.
        grace: seconds that requests have to end when the server stops.
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
        """One for each request that is computed or waits, and some that say: no room."""
        return self.workers + self.queue + 4

    def __post_init__(self) -> None:
        for name in ("workers", "message_bytes"):
            if getattr(self, name) < 1:
                raise InputError(f"expected --{name} of at least 1, got {getattr(self, name)}")
        if self.queue < 0 or self.poll_seconds <= 0 or self.grace < 0:
            raise InputError("expected --queue and --grace of at least 0, --poll_seconds above 0")


class Server:
    """Serves models until it is closed.

    Args:
        root: a folder of models, <name>/<version>/.
        settings: how.

    Attributes:
        port: of gRPC.
        rest_port: of REST; None without.

    Raises:
        InputError: no model in the folder.
        ReportedError: a port that is taken.
    """

    def __init__(self, root: Path, settings: Settings | None = None) -> None:
        settings = settings or Settings()
        self.settings = settings
        self.models = Models(root, poll_seconds=settings.poll_seconds)
        self.engine = Engine(
            self.models,
            workers=settings.workers,
            queue=settings.queue,
            most_bytes=settings.message_bytes,
        )
        self._rest: Any = None
        self.rest_port: int | None = None
        try:
            self._grpc, self.port, self._health = _grpc_server(self.engine, settings)
            try:
                if settings.rest_port is not None:
                    from tfrobust.serving.rest import Rest

                    self._rest = Rest(self.engine, settings)
                    self.rest_port = self._rest.port
            except BaseException:
                self._grpc.stop(None)
                raise
        except BaseException:
            self.models.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def wait(self) -> None:
        """Until it is closed, or Ctrl-C."""
        self._grpc.wait_for_termination()

    def close(self) -> None:
        """Takes no more requests, lets those that are there end, and stops."""
        self._health.enter_graceful_shutdown()
        stopped = self._grpc.stop(self.settings.grace)
        if self._rest:
            self._rest.close()
        stopped.wait()
        self.models.close()


def _grpc_server(engine: Engine, settings: Settings) -> tuple[Any, int, health.HealthServicer]:
    server = grpc.server(
        futures.ThreadPoolExecutor(settings.threads),
        options=[
            ("grpc.max_receive_message_length", settings.message_bytes),
            ("grpc.max_send_message_length", -1),
            # Else a second server on the same port would share its requests.
            ("grpc.so_reuseport", 0),
        ],
    )
    services = Services(engine)
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(services, server)
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(services, server)
    checks = health.HealthServicer()
    checks.set("", health_pb2.HealthCheckResponse.SERVING)
    health_pb2_grpc.add_HealthServicer_to_server(checks, server)
    try:
        port = server.add_insecure_port(f"{settings.host}:{settings.port}")
    except RuntimeError:
        raise ReportedError(
            f"cannot listen on {settings.host}:{settings.port}; is another server there? "
            "Name another --port"
        ) from None
    server.start()
    return server, port, checks


class Services(
    prediction_service_pb2_grpc.PredictionServiceServicer,
    model_service_pb2_grpc.ModelServiceServicer,
):
    """TF Serving's services over an engine."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def Predict(self, request: Any, context: Any) -> Any:
        """Any signature: named tensors in, named tensors out."""
        try:
            spec = request.model_spec
            version = self._find(spec)
            signature = spec.signature_name or DEFAULT_SIGNATURE
            inputs = {name: self._array(name, one) for name, one in request.inputs.items()}
            outputs = self._engine.answer(version, signature, inputs)
            wanted = list(request.output_filter) or list(outputs)
            if unknown := sorted(set(wanted) - set(outputs)):
                raise Refused(
                    "INVALID_ARGUMENT",
                    f"output tensor alias not found in signature: {', '.join(unknown)}",
                )
        except Refused as refused:
            _abort(context, refused)
        reply = predict_pb2.PredictResponse()
        _name(reply.model_spec, spec.name, version, signature)
        for name in wanted:
            _put(outputs[name], reply.outputs[name])
        return reply

    def GetModelMetadata(self, request: Any, context: Any) -> Any:
        """The signatures, as TF Serving packs them."""
        try:
            version = self._find(request.model_spec)
            if list(request.metadata_field) != [METADATA]:
                got = ", ".join(request.metadata_field) or "none"
                raise Refused(
                    "INVALID_ARGUMENT", f"expected metadata_field {METADATA!r} alone, got {got}"
                )
        except Refused as refused:
            _abort(context, refused)
        signatures = get_model_metadata_pb2.SignatureDefMap()
        for name, definition in version.signatures.items():
            signatures.signature_def[name].CopyFrom(definition)
        reply = get_model_metadata_pb2.GetModelMetadataResponse()
        _name(reply.model_spec, request.model_spec.name, version, "")
        reply.metadata[METADATA].Pack(signatures)
        return reply

    def GetModelStatus(self, request: Any, context: Any) -> Any:
        """The states of a model's versions."""
        spec = request.model_spec
        states = self._engine.models.status(spec.name)
        if spec.HasField("version"):
            wanted = spec.version.value
            states = {number: state for number, state in states.items() if number == wanted}
        if not states:
            _abort(context, Refused("NOT_FOUND", f"Could not find any versions of {spec.name}"))
        reply = get_model_status_pb2.GetModelStatusResponse()
        for number, (state, wrong) in sorted(states.items()):
            told = reply.model_version_status.add(version=number, state=state)
            told.status.error_code = 2 if wrong else 0  # UNKNOWN, OK
            told.status.error_message = wrong
        return reply

    def _find(self, spec: Any) -> Version:
        if spec.version_label:
            raise Refused(
                "INVALID_ARGUMENT",
                f"Unrecognized servable version label: {spec.version_label}; labels are TF "
                "Serving's",
            )
        number = spec.version.value if spec.HasField("version") else None
        return self._engine.find(spec.name, number)

    def _array(self, name: str, proto: Any) -> np.ndarray:
        """A tensor; one that announces more than a message may hold is not made.

        Raises:
            Refused: it is too large, or none.
        """
        sizes = [dim.size for dim in proto.tensor_shape.dim]
        try:
            dtype = tf.dtypes.as_dtype(proto.dtype)
            width = 1 if dtype == tf.string else dtype.size
        except TypeError:
            raise Refused("INVALID_ARGUMENT", f"input {name}: unknown type") from None
        total = 1
        for size in sizes:
            total *= max(size, 0)
        if proto.tensor_shape.unknown_rank or min(sizes, default=0) < 0:
            raise Refused("INVALID_ARGUMENT", f"input {name}: a shape that is not known")
        if total * width > self._engine.most_bytes:
            raise Refused("INVALID_ARGUMENT", f"input {name}: too large, {sizes}")
        try:
            return tf.make_ndarray(proto)
        except Exception as error:  # of a proto at odds with itself, of several kinds
            raise Refused("INVALID_ARGUMENT", f"input {name}: {error}") from None


def _put(array: np.ndarray, proto: Any) -> None:
    """As `tf.make_tensor_proto`, which takes a tenth of a millisecond for its checks."""
    proto.dtype = tf.dtypes.as_dtype(array.dtype).as_datatype_enum
    for size in array.shape:
        proto.tensor_shape.dim.add(size=size)
    if array.dtype.kind in "OS":
        proto.string_val.extend(array.ravel())
    else:
        proto.tensor_content = array.tobytes()


def _name(spec: Any, name: str, version: Version, signature: str) -> None:
    spec.name, spec.signature_name = name, signature
    spec.version.value = version.number


def _abort(context: Any, refused: Refused) -> None:
    context.abort(getattr(grpc.StatusCode, refused.code), str(refused))
