"""TF Serving's gRPC messages, made and read. Their types import TensorFlow."""

from typing import Any

import grpc
import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    predict_pb2,
)

from tfrobust.serving.channel import Address, ServerError, Signatures

PROXY_VARIABLES = ("grpc_proxy", "https_proxy", "http_proxy")
# What gRPC itself says where nothing was sent.
NOT_SENT = ("failed to connect to all addresses", "DNS resolution failed")


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
        InputError: a file cannot be read.
    """
    ca = address.read(address.certificate)
    key, own = address.read(address.client_key), address.read(address.client_certificate)
    if ca is None and own is None:
        return None
    return grpc.ssl_channel_credentials(ca, key, own)


def predict(
    address: Address, signature: str, inputs: dict[str, np.ndarray]
) -> predict_pb2.PredictRequest:
    """A call of a signature."""
    request = predict_pb2.PredictRequest()
    _name_model(address, request.model_spec)
    request.model_spec.signature_name = signature
    for name, value in inputs.items():
        request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
    return request


def arrays(reply: predict_pb2.PredictResponse) -> dict[str, np.ndarray]:
    """What a signature gave."""
    return {name: tf.make_ndarray(value) for name, value in reply.outputs.items()}


def metadata(address: Address) -> get_model_metadata_pb2.GetModelMetadataRequest:
    """A question for the signatures."""
    request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
    _name_model(address, request.model_spec)
    return request


def signatures(reply: get_model_metadata_pb2.GetModelMetadataResponse) -> Signatures:
    """The signatures that a server told."""
    found = get_model_metadata_pb2.SignatureDefMap()
    reply.metadata["signature_def"].Unpack(found)
    return {
        name: {"inputs": _specs(one.inputs), "outputs": _specs(one.outputs)}
        for name, one in found.signature_def.items()
        if not name.startswith("__")  # These are TensorFlow's own, and answer nothing.
    }


def status(address: Address) -> get_model_status_pb2.GetModelStatusRequest:
    """A question for the states of the versions."""
    request = get_model_status_pb2.GetModelStatusRequest()
    _name_model(address, request.model_spec)
    return request


def states(reply: get_model_status_pb2.GetModelStatusResponse) -> dict[int, str]:
    """The states that a server told, by the versions' numbers."""
    names = get_model_status_pb2.ModelVersionStatus.State
    return {one.version: names.Name(one.state) for one in reply.model_version_status}


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


def _specs(tensors: Any) -> dict[str, tuple[str, tuple[int, ...]]]:
    return {
        name: (
            tf.dtypes.as_dtype(one.dtype).name,
            tuple(dim.size for dim in one.tensor_shape.dim),
        )
        for name, one in tensors.items()
    }
