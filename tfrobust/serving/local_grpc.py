"""TF Serving's gRPC services over an engine: Predict, GetModelMetadata, GetModelStatus, health."""

import math
import threading
from concurrent import futures
from typing import Any

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

from tfrobust.errors import ReportedError
from tfrobust.serving.engine import DEFAULT_SIGNATURE, Engine, Refused
from tfrobust.serving.models import Version
from tfrobust.serving.settings import Settings

METADATA = "signature_def"


class GrpcServer:
    """Listens on `port` for gRPC requests, in threads of its own."""

    def __init__(self, engine: Engine, settings: Settings) -> None:
        self._server = grpc.server(
            futures.ThreadPoolExecutor(settings.threads),
            options=[
                ("grpc.max_receive_message_length", settings.message_bytes),
                ("grpc.max_send_message_length", -1),
                # With it, a second server on the same port would get some of its requests.
                ("grpc.so_reuseport", 0),
            ],
        )
        services = Services(engine)
        prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(services, self._server)
        model_service_pb2_grpc.add_ModelServiceServicer_to_server(services, self._server)
        self._health = health.HealthServicer()
        self._health.set("", health_pb2.HealthCheckResponse.SERVING)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        self._grace = settings.grace
        try:
            self.port: int = self._server.add_insecure_port(f"{settings.address}:{settings.port}")
        except RuntimeError:
            raise ReportedError(
                f"cannot listen on {settings.address}:{settings.port}; is another server there? "
                "Name another port, or another host"
            ) from None
        self._server.start()

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
        _name_model(reply.model_spec, spec.name, version, signature)
        for name in wanted:
            _put(outputs[name], reply.outputs[name])
        return reply

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
            states = self._engine.states(spec.name, number)
        except Refused as refused:
            _abort(context, refused)
        reply = get_model_status_pb2.GetModelStatusResponse()
        for number, (state, fault) in sorted(states.items()):
            status = reply.model_version_status.add(version=number, state=state)
            status.status.error_code = 2 if fault else 0  # UNKNOWN, OK
            status.status.error_message = fault
        return reply

    def _find(self, spec: Any) -> Version:
        if spec.version_label:
            raise Refused(
                "INVALID_ARGUMENT",
                f"Unrecognized servable version label: {spec.version_label}; only TF Serving "
                "itself knows labels",
            )
        number = spec.version.value if spec.HasField("version") else None
        return self._engine.find(spec.name, number)

    def _array(self, name: str, proto: Any) -> np.ndarray:
        """A tensor as an array, which is not made if it would be larger than a message may be.

        Raises:
            Refused: the tensor is too large, or contradicts itself.
        """
        sizes = [dim.size for dim in proto.tensor_shape.dim]
        try:
            dtype = tf.dtypes.as_dtype(proto.dtype)
            width = 1 if dtype == tf.string else dtype.size
        except TypeError:
            raise Refused("INVALID_ARGUMENT", f"input {name}: unknown type") from None
        if proto.tensor_shape.unknown_rank or min(sizes, default=0) < 0:
            raise Refused("INVALID_ARGUMENT", f"input {name}: a shape that is not known")
        if math.prod(sizes) * width > self._engine.most_bytes:
            raise Refused("INVALID_ARGUMENT", f"input {name}: too large, {sizes}")
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
