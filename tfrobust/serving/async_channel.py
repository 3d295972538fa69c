"""The channels for asyncio."""

import asyncio
from typing import Any, Protocol

import numpy as np

from tfrobust.serving.channel import Address, Channel, ServerError, Signatures


class AsyncChannel(Protocol):
    """What `Channel` does, as coroutines."""

    address: Address
    bytes_for_byte: int

    async def close(self) -> None:
        """Ends the connection."""

    async def ask(self, signature: str, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Calls a signature: named arrays in, named arrays out."""

    async def metadata(self) -> Signatures:
        """The model's signatures."""

    async def status(self) -> dict[int, str]:
        """The state of each version, by its number."""


class AsyncRestChannel:
    """Asks over REST, each request in a thread of its own.

    Args:
        channel: asks.
    """

    def __init__(self, channel: Channel) -> None:
        self._channel, self.address = channel, channel.address
        self.bytes_for_byte = channel.bytes_for_byte

    async def close(self) -> None:
        """Ends the connection."""
        self._channel.close()

    async def ask(self, signature: str, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Calls a signature: named arrays in, named arrays out."""
        return await asyncio.to_thread(self._channel.ask, signature, inputs)

    async def metadata(self) -> Signatures:
        """The model's signatures."""
        return await asyncio.to_thread(self._channel.metadata)

    async def status(self) -> dict[int, str]:
        """The state of each version, by its number."""
        return await asyncio.to_thread(self._channel.status)


class AsyncGrpcChannel:
    """Asks over gRPC. A request whose task is cancelled is cancelled at the server, too.

    Args:
        address: as for `GrpcChannel`.

    Raises:
        InputError: a certificate or key cannot be read.
    """

    bytes_for_byte = 1

    def __init__(self, address: Address) -> None:
        import grpc

        from tfrobust.serving import grpc_messages

        self.address, self._messages, self._errors = address, grpc_messages, grpc.RpcError
        options, credentials = grpc_messages.options(address), grpc_messages.credentials(address)
        if credentials is None:
            self._channel = grpc.aio.insecure_channel(address.server, options)
        else:
            self._channel = grpc.aio.secure_channel(address.server, credentials, options)
        self._methods = grpc_messages.methods(self._channel)

    async def close(self) -> None:
        """Ends the connection."""
        await self._channel.close()

    async def ask(self, signature: str, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Calls a signature: named arrays in, named arrays out."""
        request = self._messages.predict(self.address, signature, inputs)
        return self._messages.arrays(self.address, await self._call("Predict", request))

    async def metadata(self) -> Signatures:
        """The model's signatures."""
        request = self._messages.metadata(self.address)
        reply = await self._call("GetModelMetadata", request)
        return self._messages.signatures(reply)

    async def status(self) -> dict[int, str]:
        """The state of each version, by its number."""
        request = self._messages.status(self.address)
        return self._messages.states(await self._call("GetModelStatus", request))

    async def _call(self, method: str, request: Any) -> Any:
        ask, pauses = self._methods[method], self.address.pauses()
        while True:
            try:
                return await ask(request, timeout=pauses.left, metadata=self.address.headers)
            except self._errors as error:
                failure: ServerError = self._messages.failure(self.address, error)
                pause = pauses.after(failure)
            await asyncio.sleep(pause)
