"""Asks TF Serving over gRPC. Its message types import TensorFlow."""

import json
from collections.abc import Callable
from typing import Any

import grpc
import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from tfrobust.serving.channel import (
    ATTEMPTS,
    FIRST_WAIT,
    LONGEST_WAIT,
    Address,
    Channel,
    Signatures,
)

# gRPC retries by itself. By this policy it does so only for requests that no server took.
RETRIES = {
    "methodConfig": [
        {
            "name": [
                {"service": "tensorflow.serving.PredictionService"},
                {"service": "tensorflow.serving.ModelService"},
            ],
            "retryPolicy": {
                "maxAttempts": ATTEMPTS,
                "initialBackoff": f"{FIRST_WAIT}s",
                "maxBackoff": f"{LONGEST_WAIT:g}s",
                "backoffMultiplier": 2,
                "retryableStatusCodes": ["UNAVAILABLE"],
            },
        }
    ]
}


class GrpcChannel(Channel):
    """Asks over gRPC.

    Args:
        address: whom to ask; its server is "host:port".

    Raises:
        InputError: the certificate cannot be read.
    """

    def __init__(self, address: Address) -> None:
        super().__init__(address)
        options = [
            ("grpc.max_send_message_length", address.message_bytes),
            ("grpc.max_receive_message_length", address.message_bytes),
            ("grpc.service_config", json.dumps(RETRIES)),
        ]
        certificate = address.read_certificate()
        if certificate is None:
            self._channel = grpc.insecure_channel(address.server, options)
        else:
            credentials = grpc.ssl_channel_credentials(certificate)
            self._channel = grpc.secure_channel(address.server, credentials, options)
        self._predictions = prediction_service_pb2_grpc.PredictionServiceStub(self._channel)
        self._models = model_service_pb2_grpc.ModelServiceStub(self._channel)

    @property
    def proxy_variables(self) -> tuple[str, ...]:
        """The environment variables that can name a proxy, of which the first one set counts."""
        return ("grpc_proxy", "https_proxy", "http_proxy")

    def close(self) -> None:
        """Ends the connection."""
        self._channel.close()

    def ask(self, signature: str, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Calls a signature: named arrays in, named arrays out."""
        request = predict_pb2.PredictRequest()
        self._name_model(request.model_spec)
        request.model_spec.signature_name = signature
        for name, value in inputs.items():
            request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
        reply = self._call(self._predictions.Predict, request)
        return {name: tf.make_ndarray(value) for name, value in reply.outputs.items()}

    def metadata(self) -> Signatures:
        """The model's signatures."""
        request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
        self._name_model(request.model_spec)
        reply = self._call(self._predictions.GetModelMetadata, request)
        signatures = get_model_metadata_pb2.SignatureDefMap()
        reply.metadata["signature_def"].Unpack(signatures)
        return {
            name: {"inputs": _specs(one.inputs), "outputs": _specs(one.outputs)}
            for name, one in signatures.signature_def.items()
            if not name.startswith("__")  # These are TensorFlow's own, and answer nothing.
        }

    def status(self) -> dict[int, str]:
        """The state of each version, by its number."""
        request = get_model_status_pb2.GetModelStatusRequest()
        self._name_model(request.model_spec)
        reply = self._call(self._models.GetModelStatus, request)
        states = get_model_status_pb2.ModelVersionStatus.State
        return {one.version: states.Name(one.state) for one in reply.model_version_status}

    def _name_model(self, spec: Any) -> None:
        spec.name = self.address.model
        if self.address.version is not None:
            spec.version.value = self.address.version

    def _call(self, method: Callable[..., Any], request: Any) -> Any:
        try:
            return method(request, timeout=self.address.timeout)
        except grpc.RpcError as error:
            raise self.failure(error.code().name, error.details()) from None


def _specs(tensors: Any) -> dict[str, tuple[str, tuple[int, ...]]]:
    return {
        name: (
            tf.dtypes.as_dtype(one.dtype).name,
            tuple(dim.size for dim in one.tensor_shape.dim),
        )
        for name, one in tensors.items()
    }
