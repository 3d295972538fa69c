"""Asks TF Serving over gRPC."""

from collections.abc import Callable
from typing import Any

import grpc
import numpy as np
from tensorflow_serving.apis import model_service_pb2_grpc, prediction_service_pb2_grpc

from tfrobust.serving import grpc_messages as messages
from tfrobust.serving.channel import Address, Channel, Signatures, until_reached


class GrpcChannel(Channel):
    """Asks over gRPC.

    Args:
        address: whom to ask; its server is "host:port", or an address as gRPC names them, such as
            "unix:/run/serving.sock".

    Raises:
        InputError: a certificate or key cannot be read.
    """

    bytes_for_byte = 1

    def __init__(self, address: Address) -> None:
        super().__init__(address)
        options, credentials = messages.options(address), messages.credentials(address)
        if credentials is None:
            self._channel = grpc.insecure_channel(address.server, options)
        else:
            self._channel = grpc.secure_channel(address.server, credentials, options)
        self._predictions = prediction_service_pb2_grpc.PredictionServiceStub(self._channel)
        self._models = model_service_pb2_grpc.ModelServiceStub(self._channel)

    def close(self) -> None:
        """Ends the connection."""
        self._channel.close()

    def ask(self, signature: str, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Calls a signature: named arrays in, named arrays out."""
        request = messages.predict(self.address, signature, inputs)
        return messages.arrays(self._call(self._predictions.Predict, request))

    def metadata(self) -> Signatures:
        """The model's signatures."""
        request = messages.metadata(self.address)
        return messages.signatures(self._call(self._predictions.GetModelMetadata, request))

    def status(self) -> dict[int, str]:
        """The state of each version, by its number."""
        request = messages.status(self.address)
        return messages.states(self._call(self._models.GetModelStatus, request))

    def _call(self, method: Callable[..., Any], request: Any) -> Any:
        def once(seconds: float) -> Any:
            try:
                return method(request, timeout=seconds, metadata=self.address.headers)
            except grpc.RpcError as error:
                raise messages.failure(self.address, error) from None

        return until_reached(self.address, once)
