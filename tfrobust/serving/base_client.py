"""What `Client` and `AsyncClient` share: whom they ask, how, and in how many requests."""

import abc
from collections.abc import Sequence
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np

from tfrobust.errors import InputError
from tfrobust.serving import parts
from tfrobust.serving.async_channel import AsyncChannel
from tfrobust.serving.channel import MOST_IMAGES, Address, Channel

MESSAGE_BYTES = 64 << 20  # gRPC's own limit is 4 MiB: six explanations of 224 × 224 pixels.

Opened = TypeVar("Opened", bound=Channel | AsyncChannel)


class BaseClient(abc.ABC, Generic[Opened]):
    """Asks one model of a server; the arguments are told at `Client`."""

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
        try:
            self._channel, self._most_images = self._open(address), most_images
        except ModuleNotFoundError as missing:
            raise InputError(
                f"expected {missing.name}, by which gRPC is asked and which is not installed; ask "
                "by REST, as http://localhost:8501, which needs NumPy only"
            ) from None

    @staticmethod
    @abc.abstractmethod
    def _open(address: Address) -> Opened:
        """The connection, by the protocol that the address names."""

    def _parts(self, inputs: dict[str, np.ndarray]) -> list[dict[str, np.ndarray]]:
        """The inputs of a signature, in as many requests as the images need."""
        most_bytes = self._channel.address.message_bytes // self._channel.bytes_for_byte
        return parts.split(inputs, most_images=self._most_images, most_bytes=most_bytes)
