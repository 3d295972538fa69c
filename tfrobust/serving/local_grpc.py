"""TF Serving's gRPC services over an engine.

They are Predict, GetModelMetadata, GetModelStatus, HandleReloadConfigRequest and health.
"""

import functools
import hmac
import ssl
import threading
from collections.abc import Callable
from concurrent import futures
from typing import Any

import grpc
import numpy as np
import tensorflow as tf
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_management_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from tfrobust.errors import ReportedError
from tfrobust.serving.engine import DEFAULT_SIGNATURE, Announced, Engine
from tfrobust.serving.policy import policies_of
from tfrobust.serving.receiving import Receiver
from tfrobust.serving.refused import Refused
from tfrobust.serving.settings import Settings
from tfrobust.serving.version import Version

METADATA = "signature_def"
# TF Serving names the first two. A prober may also use the services' full names.
HEALTHY = (
    "",
    "PredictionService",
    "ModelService",
    "tensorflow.serving.PredictionService",
    "tensorflow.serving.ModelService",
)
# A connection that has not begun to speak HTTP/2 by then is closed.
HANDSHAKE_MS = 10_000
HEALTH_METHODS = "/grpc.health.v1.Health/"


class GrpcServer:
    """Listens on `port` for gRPC requests, in threads of its own."""

    def __init__(self, engine: Engine, settings: Settings) -> None:
        self._server = grpc.server(
            futures.ThreadPoolExecutor(settings.threads),
            interceptors=[
                *([_TokenCheck(settings.token)] if settings.token else []),
                Receiver(settings.message_bytes),
            ],
            options=[
                ("grpc.max_receive_message_length", settings.message_bytes),
                ("grpc.max_send_message_length", -1),
                ("grpc.server_handshake_timeout_ms", HANDSHAKE_MS),
                # With it, a second server on the same port would get some of its requests.
                ("grpc.so_reuseport", 0),
            ],
        )
        services = Services(engine)
        prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(services, self._server)
        model_service_pb2_grpc.add_ModelServiceServicer_to_server(services, self._server)
        self._health = health.HealthServicer()
        for name in HEALTHY:
            self._health.set(name, health_pb2.HealthCheckResponse.SERVING)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        self._grace = settings.grace
        try:
            if settings.socket_path is not None:
                self._server.add_insecure_port(f"unix:{settings.socket_path}")
            self.port: int = self._listen(settings)
        except RuntimeError:
            raise ReportedError(
                f"cannot listen on {settings.address}:{settings.port}"
                + (f" or at {settings.socket_path}" if settings.socket_path else "")
                + "; is another server there? Name another port, or another host"
            ) from None
        self._server.start()

    def _listen(self, settings: Settings) -> int:
        address = f"{settings.address}:{settings.port}"
        if settings.certificate is None or settings.key is None:
            return int(self._server.add_insecure_port(address))
        try:
            # gRPC does not say what is wrong with them.
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(
                settings.certificate, settings.key
            )
            ssl.create_default_context(cafile=settings.client_ca)
        except (OSError, ValueError) as error:
            raise ReportedError(
                f"cannot use the certificates {settings.certificate}, {settings.key}, "
                f"{settings.client_ca}: {error}"
            ) from None
        pair = (settings.key.read_bytes(), settings.certificate.read_bytes())
        client_ca = settings.client_ca.read_bytes() if settings.client_ca else None
        credentials = grpc.ssl_server_credentials([pair], client_ca, client_ca is not None)
        return int(self._server.add_secure_port(address, credentials))

    def stop(self) -> threading.Event:
        """Refuses new requests, and ends the others after the settings' grace.

        Returns:
            An event that is set once all have ended.
        """
        self._health.enter_graceful_shutdown()
        return self._server.stop(self._grace)


class Services(
    prediction_service_pb2_grpc.PredictionServiceServicer,
    model_service_pb2_grpc.ModelServiceServicer,
):
    """Answers TF Serving's requests.

    Args:
        engine: computes the answers.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def Predict(self, request: Any, context: Any) -> Any:
        """Calls a signature: named tensors in, named tensors out."""
        left = threading.Event()
        if not context.add_callback(left.set):
            left.set()  # The client has left already.
        try:
            spec = request.model_spec
            version = self._find(spec)
            signature = spec.signature_name or DEFAULT_SIGNATURE
            inputs = {name: _announced(name, one) for name, one in request.inputs.items()}
            wanted = _wanted(request.output_filter, version, signature)
            outputs = self._engine.answer(version, signature, inputs, left)
        except Refused as refused:
            _abort(context, refused)
        reply = predict_pb2.PredictResponse()
        _name_model(reply.model_spec, spec.name, version, signature)
        for name in wanted or outputs:
            _put(outputs[name], reply.outputs[name])
        return reply

    def Classify(self, request: Any, context: Any) -> Any:
        """Refuses: no signature of ours takes tf.Examples."""
        self._refuse_examples(request.model_spec, context, "classification", "classify")

    def Regress(self, request: Any, context: Any) -> Any:
        """Refuses: no signature of ours takes tf.Examples."""
        self._refuse_examples(request.model_spec, context, "regression", "regress")

    def _refuse_examples(self, spec: Any, context: Any, kind: str, verb: str) -> None:
        try:
            self._engine.refuse_examples(self._find(spec), spec.signature_name, kind, verb)
        except Refused as refused:
            _abort(context, refused)

    def GetModelMetadata(self, request: Any, context: Any) -> Any:
        """Gives the signatures, packed as TF Serving packs them."""
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
        _name_model(reply.model_spec, request.model_spec.name, version, "")
        reply.metadata[METADATA].Pack(signatures)
        return reply

    def GetModelStatus(self, request: Any, context: Any) -> Any:
        """Gives the state of each version."""
        spec = request.model_spec
        number = spec.version.value if spec.HasField("version") else None
        try:
            states = self._engine.states(spec.name, number, spec.version_label)
        except Refused as refused:
            _abort(context, refused)
        reply = get_model_status_pb2.GetModelStatusResponse()
        for number, (state, fault) in sorted(states.items()):
            status = reply.model_version_status.add(version=number, state=state)
            status.status.error_code = 2 if fault else 0  # UNKNOWN, OK
            status.status.error_message = fault
        return reply

    def HandleReloadConfigRequest(self, request: Any, context: Any) -> Any:
        """Chooses which versions of the folder's models are served, and their labels."""
        reply = model_management_pb2.ReloadConfigResponse()
        models = self._engine.models
        try:
            models.configure(policies_of(request.config, models.root))
        except ValueError as error:
            reply.status.error_code = grpc.StatusCode.INVALID_ARGUMENT.value[0]
            reply.status.error_message = str(error)
        except LookupError as error:
            reply.status.error_code = grpc.StatusCode.FAILED_PRECONDITION.value[0]
            reply.status.error_message = str(error)
        return reply

    def _find(self, spec: Any) -> Version:
        number = spec.version.value if spec.HasField("version") else None
        return self._engine.find(spec.name, number, spec.version_label)


class _TokenCheck(grpc.ServerInterceptor):
    """Lets only requests through that show the token. Health may be asked by everyone."""

    def __init__(self, token: str) -> None:
        self._expected = f"Bearer {token}".encode()

    def intercept_service(self, continuation: Callable[..., Any], details: Any) -> Any:
        shown = dict(details.invocation_metadata).get("authorization", "")
        shown = shown if isinstance(shown, bytes) else shown.encode()
        if details.method.startswith(HEALTH_METHODS) or hmac.compare_digest(shown, self._expected):
            return continuation(details)
        # A handler of streams is called before the message has come.
        return grpc.stream_unary_rpc_method_handler(_refuse_stranger)


def _refuse_stranger(messages: Any, context: Any) -> None:
    context.abort(
        grpc.StatusCode.UNAUTHENTICATED, 'expected the metadata "authorization: Bearer <token>"'
    )


def _wanted(output_filter: Any, version: Version, signature: str) -> list[str]:
    """The outputs that a request names; empty for all. Nothing is computed yet."""
    definition = version.signatures.get(signature)
    outputs = {} if definition is None else definition.outputs
    named: list[str] = []
    for name in output_filter:
        if definition is not None and name not in outputs:
            raise Refused(
                "INVALID_ARGUMENT",
                f"output tensor alias not found in signature: {name} Outputs expected to be in "
                f"the set {{{','.join(sorted(outputs))}}}.",
            )
        if name in named:
            raise Refused("INVALID_ARGUMENT", f"duplicate output tensor alias: {name}")
        named.append(name)
    return named


def _announced(name: str, proto: Any) -> Announced:
    """What a tensor's message says of it. Nothing is unpacked yet.

    Raises:
        Refused: its type or shape is unknown.
    """
    sizes = tuple(dim.size for dim in proto.tensor_shape.dim)
    try:
        dtype = tf.dtypes.as_dtype(proto.dtype)
    except TypeError:
        raise Refused("INVALID_ARGUMENT", f"input {name}: unknown type") from None
    if proto.tensor_shape.unknown_rank or min(sizes, default=0) < 0:
        raise Refused("INVALID_ARGUMENT", f"input {name}: a shape that is not known")
    return Announced(dtype, sizes, functools.partial(_unpacked, name, proto))


def _unpacked(name: str, proto: Any) -> np.ndarray:
    try:
        return tf.make_ndarray(proto)
    except Exception as error:  # TensorFlow raises many kinds here.
        raise Refused("INVALID_ARGUMENT", f"input {name}: {error}") from None


def _put(array: np.ndarray, proto: Any) -> None:
    """Does what `tf.make_tensor_proto` does, whose checks take a tenth of a millisecond."""
    proto.dtype = tf.dtypes.as_dtype(array.dtype).as_datatype_enum
    for size in array.shape:
        proto.tensor_shape.dim.add(size=size)
    if array.dtype.kind in "OS":
        proto.string_val.extend(array.ravel())
    else:
        proto.tensor_content = array.tobytes()


def _name_model(spec: Any, name: str, version: Version, signature: str) -> None:
    spec.name, spec.signature_name = name, signature
    spec.version.value = version.number


def _abort(context: Any, refused: Refused) -> None:
    context.abort(getattr(grpc.StatusCode, refused.code), str(refused))
