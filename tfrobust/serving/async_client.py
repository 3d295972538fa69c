"""The client for asyncio."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np

from tfrobust.core.images import checked_images
from tfrobust.errors import InputError
from tfrobust.serving import answers, parts
from tfrobust.serving.answers import Distance, Explained, Predicted
from tfrobust.serving.async_channel import AsyncChannel, AsyncGrpcChannel, AsyncRestChannel
from tfrobust.serving.channel import MOST_IMAGES, Address, Signatures
from tfrobust.serving.client import MESSAGE_BYTES


class AsyncClient:
    """Asks one model of a server, as `Client` does, from coroutines.

    Over gRPC a request whose task is cancelled is cancelled at the server too. It is made inside a
    running event loop, and belongs to that.

    Args:
        server: as for `Client`, and so are all others.
        model: the model's name on the server.
        version: the version's number; None for the newest.
        version_label: the version's label, in the place of its number.
        timeout: seconds that one request may take, with all its attempts.
        certificate: a PEM file with the certificate that the server's must be signed by.
        client_certificate: a PEM file with the certificate that this client shows (mTLS).
        client_key: a PEM file with its private key.
        token: is shown to the server as "authorization: Bearer <token>".
        metadata: further pairs of a name and a value that go along with each request.
        message_bytes: the largest message that is sent or received.
        most_images: more images than these are asked for in several requests.

    Raises:
        InputError: as `Client`.
    """

    def __init__(
        self,
        server: str = "localhost:8500",
        *,
        model: str,
        version: int | None = None,
        version_label: str | None = None,
        timeout: float = 30.0,
        certificate: str | Path | None = None,
        client_certificate: str | Path | None = None,
        client_key: str | Path | None = None,
        token: str | None = None,
        metadata: Sequence[tuple[str, str]] = (),
        message_bytes: int = MESSAGE_BYTES,
        most_images: int = MOST_IMAGES,
    ) -> None:
        address = Address(
            server=server,
            model=model,
            version=version,
            version_label=version_label,
            timeout=timeout,
            certificate=certificate,
            client_certificate=client_certificate,
            client_key=client_key,
            token=token,
            metadata=metadata,
            message_bytes=message_bytes,
        )
        if most_images < 1:
            raise InputError(f"expected most_images of at least 1, got {most_images}")
        self._channel, self._most_images = _open(address), most_images

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Ends the connection."""
        await self._channel.close()

    async def predict(self, images: Any) -> Predicted:
        """Classifies images, as `Client.predict`."""
        return answers.predicted(
            await self._asked("serving_default", images=checked_images(images))
        )

    async def predict_files(self, files: Sequence[bytes]) -> Predicted:
        """Classifies PNG and JPEG files, as `Client.predict_files`."""
        encoded = np.array(list(files), object)
        return answers.predicted(await self._asked("predict_bytes", encoded=encoded))

    async def robustness(self, images: Any) -> Distance:
        """Asks how far the decisions are from changing, as `Client.robustness`."""
        return answers.distance(await self._asked("robustness", images=checked_images(images)))

    async def explain(
        self, images: Any, targets: Any = -1, *, direction: int = 1, rho: float = 0.1
    ) -> Explained:
        """Explains images, as `Client.explain`."""
        inputs = answers.explain_inputs(images, targets, direction, rho)
        return answers.explained(await self._asked("explain", **inputs))

    async def ask(self, signature: str, **inputs: Any) -> dict[str, np.ndarray]:
        """Calls any signature, as `Client.ask`."""
        arrays = {name: np.asarray(value) for name, value in inputs.items()}
        return await self._channel.ask(signature, arrays)

    async def metadata(self) -> Signatures:
        """The model's signatures, as `Client.metadata`."""
        return await self._channel.metadata()

    async def status(self) -> dict[int, str]:
        """The state of each version, as `Client.status`."""
        return await self._channel.status()

    async def _asked(self, signature: str, **inputs: np.ndarray) -> dict[str, np.ndarray]:
        most_bytes = self._channel.address.message_bytes // self._channel.bytes_for_byte
        asked = parts.split(inputs, most_images=self._most_images, most_bytes=most_bytes)
        return parts.join([await self._channel.ask(signature, part) for part in asked])


def _open(address: Address) -> AsyncChannel:
    if address.is_rest:
        from tfrobust.serving.rest_channel import RestChannel

        return AsyncRestChannel(RestChannel(address))
    return AsyncGrpcChannel(address)
