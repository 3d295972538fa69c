"""Asks TF Serving over gRPC, without TensorFlow."""

from typing import Any

import grpc
import numpy as np

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
        self._methods = messages.methods(self._channel)

    def close(self) -> None:
        """Ends the connection."""
        self._channel.close()

    def ask(self, signature: str, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Calls a signature: named arrays in, named arrays out."""
        request = messages.predict(self.address, signature, inputs)
        return messages.arrays(self.address, self._call("Predict", request))

    def metadata(self) -> Signatures:
        """The model's signatures."""
        request = messages.metadata(self.address)
        return messages.signatures(self._call("GetModelMetadata", request))

    def status(self) -> dict[int, str]:
        """The state of each version, by its number."""
        request = messages.status(self.address)
        return messages.states(self._call("GetModelStatus", request))

    def _call(self, method: str, request: Any) -> Any:
        def once(seconds: float) -> Any:
            try:
                return self._methods[method](
                    request, timeout=seconds, metadata=self.address.headers
                )
            except grpc.RpcError as error:
                raise messages.failure(self.address, error) from None

        return until_reached(self.address, once)
