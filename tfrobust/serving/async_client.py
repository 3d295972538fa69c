"""The client for asyncio."""

from collections.abc import Sequence
from typing import Any, Self

import numpy as np

from tfrobust.core.images import checked_images
from tfrobust.serving import answers, parts
from tfrobust.serving.answers import Distance, Explained, Predicted, PredictedLabels
from tfrobust.serving.async_channel import AsyncChannel, AsyncGrpcChannel, AsyncRestChannel
from tfrobust.serving.base_client import BaseClient
from tfrobust.serving.channel import Address, Signatures


class AsyncClient(BaseClient[AsyncChannel]):
    """Asks one model of a server, as `Client` does, from coroutines.

    Over gRPC a request whose task is cancelled is cancelled at the server too. It is made inside a
    running event loop, and belongs to that.

    The arguments are those of `Client`.

    Raises:
        InputError: as `Client`.
    """

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

    async def predict_labels(self, images: Any) -> PredictedLabels:
        """Asks which labels hold, as `Client.predict_labels`."""
        asked = await self._asked("serving_default", images=checked_images(images))
        return answers.predicted_labels(asked)

    async def predict_labels_of_files(self, files: Sequence[bytes]) -> PredictedLabels:
        """Asks which labels hold, as `Client.predict_labels_of_files`."""
        encoded = np.array(list(files), object)
        return answers.predicted_labels(await self._asked("predict_bytes", encoded=encoded))

    async def robustness(self, images: Any, targets: Any = None) -> Distance:
        """Asks how far the decisions are from changing, as `Client.robustness`."""
        inputs = answers.robustness_inputs(images, targets)
        return answers.distance(await self._asked("robustness", **inputs))

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
        asked = [await self._channel.ask(signature, part) for part in self._parts(inputs)]
        return parts.join(asked)

    @staticmethod
    def _open(address: Address) -> AsyncChannel:
        if address.is_rest:
            from tfrobust.serving.rest_channel import RestChannel

            return AsyncRestChannel(RestChannel(address))
        return AsyncGrpcChannel(address)
