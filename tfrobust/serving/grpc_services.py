"""TF Serving's PredictionService and ModelService over `Answers`, and gRPC's health service."""

import functools
from collections.abc import Callable
from concurrent import futures
from typing import Any

import grpc
import tensorflow as tf
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from tfrobust.errors import InputError
from tfrobust.serving.answers import Answers
from tfrobust.serving.models import Models
from tfrobust.serving.protocol import Refused, array_of, check_inputs

# Threads beside those of requests that run or wait: to refuse more, and to say how things are.
SPARE_THREADS = 8
STATES = get_model_status_pb2.ModelVersionStatus.State


def _answered(method: Callable[..., Any]) -> Callable[..., Any]:
    """A refusal becomes the code and words of gRPC."""

    @functools.wraps(method)
    def answer(self: Any, request: Any, context: grpc.ServicerContext) -> Any:
        try:
            return method(self, request, context)
        except Refused as refused:
            context.abort(grpc.StatusCode[refused.code], refused.message)

    return answer


def asked_version(spec: Any) -> int | None:
    """Which version a ModelSpec means; None for the newest.

    Raises:
        Refused: INVALID_ARGUMENT: there are no labels here.
    """
    if spec.WhichOneof("version_choice") == "version_label":
        raise Refused(
            "INVALID_ARGUMENT", f"Unrecognized servable version label: {spec.version_label[:80]}"
        )
    return spec.version.value if spec.HasField("version") else None


def _check_spec(request: Any) -> None:
    if not request.HasField("model_spec"):
        raise Refused("INVALID_ARGUMENT", "Missing ModelSpec")


class PredictionService(prediction_service_pb2_grpc.PredictionServiceServicer):
    """Predict and GetModelMetadata; what is not here is answered with UNIMPLEMENTED."""

    def __init__(self, answers: Answers) -> None:
        self._answers = answers

    @_answered
    def Predict(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Asks a signature of a model."""
        _check_spec(request)
        limits, spec = self._answers.limits, request.model_spec

        def read(version: Any, definition: Any) -> dict[str, Any]:
            check_inputs(request.inputs, definition.inputs)
            return {
                name: array_of(
                    name,
                    proto,
                    definition.inputs[name],
                    most_rows=limits.rows,
                    most_bytes=limits.message_bytes,
                )
                for name, proto in request.inputs.items()
            }

        found = self._answers.predict(
            spec.name,
            asked_version(spec),
            spec.signature_name,
            read,
            wanted=request.output_filter,
            left=lambda: context.time_remaining() if context.is_active() else 0.0,
        )
        reply = predict_pb2.PredictResponse()
        _name(reply.model_spec, spec.name, found.version, found.signature)
        for name, value in found.outputs.items():
            reply.outputs[name].CopyFrom(tf.make_tensor_proto(value))
        return reply

    @_answered
    def GetModelMetadata(self, request: Any, context: grpc.ServicerContext) -> Any:
        """The signatures of a model."""
        _check_spec(request)
        if not request.metadata_field:
            raise Refused(
                "INVALID_ARGUMENT",
                "GetModelMetadataRequest must specify at least one metadata_field",
            )
        for field in request.metadata_field:
            if field != "signature_def":
                raise Refused("INVALID_ARGUMENT", f"Metadata field {field[:80]} is not supported")
        return metadata(self._answers.models, request.model_spec)


class ModelService(model_service_pb2_grpc.ModelServiceServicer):
    """GetModelStatus."""

    def __init__(self, models: Models) -> None:
        self._models = models

    @_answered
    def GetModelStatus(self, request: Any, context: grpc.ServicerContext) -> Any:
        """The versions of a model, and what became of them."""
        _check_spec(request)
        return status(self._models, request.model_spec)


def metadata(models: Models, spec: Any) -> Any:
    """GetModelMetadataResponse with the signatures.

    Raises:
        Refused: NOT_FOUND.
    """
    reply = get_model_metadata_pb2.GetModelMetadataResponse()
    signatures = get_model_metadata_pb2.SignatureDefMap()
    with models.using(spec.name, asked_version(spec)) as version:
        for name, definition in version.definitions.items():
            signatures.signature_def[name].CopyFrom(definition)
        _name(reply.model_spec, spec.name, version.number)
    reply.metadata["signature_def"].Pack(signatures)
    return reply


def status(models: Models, spec: Any) -> Any:
    """GetModelStatusResponse.

    Raises:
        Refused: NOT_FOUND.
    """
    reply = get_model_status_pb2.GetModelStatusResponse()
    for number, found in models.states(spec.name, asked_version(spec)).items():
        one = reply.model_version_status.add(version=number, state=STATES.Value(found.state))
        one.status.error_code = grpc.StatusCode[found.code].value[0]
        one.status.error_message = found.message
    return reply


def _name(spec: Any, model: str, version: int, signature: str = "") -> None:
    spec.name, spec.version.value, spec.signature_name = model, version, signature


def grpc_server(answers: Answers, host: str, port: int) -> tuple[grpc.Server, int, Any]:
    """A gRPC server, not yet started.

    Args:
        answers: who answers.
        host: which addresses of this machine it listens at.
        port: 0 for any that is free.

    Returns:
        The server, its port, and the health service, which knows of no model yet.

    Raises:
        InputError: the port is taken, or not allowed.
    """
    limits = answers.limits
    server = grpc.server(
        futures.ThreadPoolExecutor(limits.running + limits.waiting + SPARE_THREADS),
        options=[
            ("grpc.max_send_message_length", limits.message_bytes),
            ("grpc.max_receive_message_length", limits.message_bytes),
            ("grpc.so_reuseport", 0),  # a port that is taken is an error, not a lottery
        ],
    )
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(
        PredictionService(answers), server
    )
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(ModelService(answers.models), server)
    healthy = health.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(healthy, server)

    def tell(names: list[str]) -> None:
        states = health_pb2.HealthCheckResponse
        healthy.set("", states.SERVING if names else states.NOT_SERVING)

    answers.models.changed = tell
    tell(answers.models.names())
    try:
        bound = server.add_insecure_port(f"{host}:{port}")
    except RuntimeError:
        raise InputError(
            f"expected a free port, but gRPC cannot listen at {host}:{port}; name another"
        ) from None
    return server, bound, healthy
