"""TF Serving's gRPC messages, made and read."""

from typing import Any

import grpc
import numpy as np

from tfrobust.serving import protocol, tensors, tls
from tfrobust.serving.channel import Address, ServerError, Signatures

PROXY_VARIABLES = ("grpc_proxy", "https_proxy", "http_proxy")
# What gRPC itself says where nothing was sent.
NOT_SENT = ("failed to connect to all addresses", "DNS resolution failed")
METHODS = {
    "Predict": "tensorflow.serving.PredictionService.Predict",
    "GetModelMetadata": "tensorflow.serving.PredictionService.GetModelMetadata",
    "GetModelStatus": "tensorflow.serving.ModelService.GetModelStatus",
}


def options(address: Address) -> list[tuple[str, Any]]:
    """The options of a channel."""
    return [
        ("grpc.max_send_message_length", address.message_bytes),
        ("grpc.max_receive_message_length", address.message_bytes),
        # A server that comes back is found as soon as the next attempt.
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.min_reconnect_backoff_ms", 100),
        ("grpc.max_reconnect_backoff_ms", 1000),
    ]


def credentials(address: Address) -> grpc.ChannelCredentials | None:
    """What TLS needs; None for a channel without it.

    Raises:
        InputError: a file cannot be read, or holds no certificate or key.
    """
    ca = address.read(address.certificate)
    key, own = address.read(address.client_key), address.read(address.client_certificate)
    if ca is None and own is None:
        return None
    tls.context(address)  # gRPC would find out later, and not say what is wrong.
    return grpc.ssl_channel_credentials(ca, key, own)


def methods(channel: Any) -> dict[str, Any]:
    """What a channel of grpc or of grpc.aio can be asked."""
    return {name: protocol.method(channel, path) for name, path in METHODS.items()}


def predict(address: Address, signature: str, inputs: dict[str, np.ndarray]) -> Any:
    """A call of a signature.

    Raises:
        InputError: an array has a type that servers do not take.
    """
    request = protocol.message("tensorflow.serving.PredictRequest")()
    _name_model(address, request.model_spec)
    request.model_spec.signature_name = signature
    for name, value in inputs.items():
        tensors.fill(request.inputs[name], value)
    return request


def arrays(address: Address, reply: Any) -> dict[str, np.ndarray]:
    """What a signature gave.

    Raises:
        ServerError: an array cannot be read.
    """
    try:
        return {name: tensors.array(value) for name, value in reply.outputs.items()}
    except ValueError as error:
        raise address.failure("UNKNOWN", str(error)) from None


def metadata(address: Address) -> Any:
    """A question for the signatures."""
    request = protocol.message("tensorflow.serving.GetModelMetadataRequest")()
    request.metadata_field.append("signature_def")
    _name_model(address, request.model_spec)
    return request


def signatures(reply: Any) -> Signatures:
    """The signatures that a server told."""
    found = protocol.message("tensorflow.serving.SignatureDefMap")()
    reply.metadata["signature_def"].Unpack(found)
    return {
        name: {"inputs": _specs(one.inputs), "outputs": _specs(one.outputs)}
        for name, one in found.signature_def.items()
        if not name.startswith("__")  # These are TensorFlow's own, and answer nothing.
    }


def status(address: Address) -> Any:
    """A question for the states of the versions."""
    request = protocol.message("tensorflow.serving.GetModelStatusRequest")()
    _name_model(address, request.model_spec)
    return request


def states(reply: Any) -> dict[int, str]:
    """The states that a server told, by the versions' numbers."""
    enum = "tensorflow.serving.ModelVersionStatus.State"
    return {one.version: protocol.name_of(one.state, enum) for one in reply.model_version_status}


def failure(address: Address, error: grpc.RpcError) -> ServerError:
    """The error to raise for one of gRPC's."""
    details = error.details() or ""
    # A handshake that fails now fails again.
    unsent = details.startswith(NOT_SENT) and "handshake" not in details.lower()
    return address.failure(
        error.code().name, details, reached=not unsent, proxy_variables=PROXY_VARIABLES
    )


def _name_model(address: Address, spec: Any) -> None:
    spec.name = address.model
    if address.version is not None:
        spec.version.value = address.version
    if address.version_label is not None:
        spec.version_label = address.version_label


def _specs(found: Any) -> dict[str, tuple[str, tuple[int, ...]]]:
    return {
        name: (tensors.dtype_name(one.dtype), tuple(dim.size for dim in one.tensor_shape.dim))
        for name, one in found.items()
    }
