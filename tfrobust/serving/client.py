"""A client of TF Serving, for networks exported by this package.

NumPy arrays go in, named results come out. By gRPC, TF Serving's stubs import TensorFlow for its
message types; by REST nothing of TensorFlow is needed.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tfrobust.errors import InputError
from tfrobust.serving.channels import GrpcChannel, RestChannel, ServerError, Signatures

__all__ = ["Client", "Distance", "Explained", "Predicted", "ServerError"]

MESSAGE_BYTES = 64 << 20  # gRPC's own limit is 4 MiB: six explanations of 224 × 224


class Predicted(NamedTuple):
    """Of B images.

    Args:
        logits: float32 (B, K).
        probabilities: float32 (B, K).
        class_id: int32 (B,).
        class_name: B names.
    """

    logits: np.ndarray
    probabilities: np.ndarray
    class_id: np.ndarray
    class_name: list[str]


class Explained(NamedTuple):
    """Of B images, as `tfrobust.explain` gives it.

    Args:
        explanation: float32 (B, H, W, C), the image changed.
        difference: float32 (B, H, W, C), what was changed.
        target: int32 (B,), the class explained.
        confidence_before: float32 (B,), of the target.
        confidence_after: float32 (B,).
        rmse: float32 (B,), the size of the change, pixels from 0 to 1.
    """

    explanation: np.ndarray
    difference: np.ndarray
    target: np.ndarray
    confidence_before: np.ndarray
    confidence_after: np.ndarray
    rmse: np.ndarray


class Distance(NamedTuple):
    """How far B images' decisions are from changing, by the linearised attack in the export.

    Args:
        rmse: float32 (B,), the size of the smallest perturbation found that changes the
            decision, pixels from 0 to 1: an upper bound, infinite where none was found.
        found: bool (B,).
        class_id: int32 (B,), the decision.
        rival: int32 (B,), what it becomes; −1 where nothing was found.
    """

    rmse: np.ndarray
    found: np.ndarray
    class_id: np.ndarray
    rival: np.ndarray


class Client:
    """Asks one model of a server.

    A request that never reached the server is sent again, within the timeout; no other is.

    Args:
        server: "host:port" of its gRPC port, or "http://host:port" of its REST port, which takes
            several times the bytes.
        model: the model's name there.
        version: which of its versions; the newest when None.
        timeout: seconds that one request may take, retries included.
        certificate: a file with the certificate (PEM) that the server's must be signed by; None
            speaks gRPC without TLS, which is for this machine only, and "https://" by the
            system's certificates.
        message_bytes: the largest message sent or received.

    Raises:
        InputError: a file that is not there, or numbers out of range.
    """

    def __init__(
        self,
        server: str = "localhost:8500",
        *,
        model: str,
        version: int | None = None,
        timeout: float = 30.0,
        certificate: str | Path | None = None,
        message_bytes: int = MESSAGE_BYTES,
    ) -> None:
        if timeout <= 0 or message_bytes < 1:
            raise InputError(
                f"expected a timeout and message_bytes above 0, got {timeout}, {message_bytes}"
            )
        rest = server.startswith(("http://", "https://"))
        self._channel = (RestChannel if rest else GrpcChannel)(
            server,
            model,
            version,
            timeout=timeout,
            certificate=certificate,
            message_bytes=message_bytes,
        )

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends the connection."""
        self._channel.close()

    def predict(self, images: Any) -> Predicted:
        """Classifies images.

        Args:
            images: float (B, H, W, C), pixels from 0 to 1.

        Raises:
            InputError: images of another shape or range.
            ServerError: the server did not answer, or refused.
        """
        found = self.ask("serving_default", images=_checked(images))
        names = [name.decode() for name in found["class_name"]]
        return Predicted(found["logits"], found["probabilities"], found["class_id"], names)

    def predict_files(self, files: Sequence[bytes]) -> Predicted:
        """Classifies PNG and JPEG files, which the server decodes and resizes.

        Args:
            files: their bytes.

        Raises:
            ServerError: the server did not answer, or refused, as it does what is no picture.
        """
        found = self.ask("predict_bytes", encoded=np.array(list(files), object))
        names = [name.decode() for name in found["class_name"]]
        return Predicted(found["logits"], found["probabilities"], found["class_id"], names)

    def robustness(self, images: Any) -> Distance:
        """Asks how far the decisions are from changing.

        Args:
            images: float (B, H, W, C), pixels from 0 to 1.

        Raises:
            InputError: images of another shape or range.
            ServerError: the server did not answer, or refused.
        """
        found = self.ask("robustness", images=_checked(images))
        return Distance(**{name: found[name] for name in Distance._fields})

    def explain(
        self, images: Any, targets: Any = -1, *, direction: int = 1, rho: float = 0.1
    ) -> Explained:
        """Changes images until the network is surer of a class, or less sure.

        Args:
            images: float (B, H, W, C), pixels from 0 to 1.
            targets: int (B,) or one for all; −1 for the predicted class.
            direction: +1 for surer, −1 for less sure.
            rho: how far, RMSE, pixels from 0 to 1.

        Raises:
            InputError: images of another shape or range, targets that are not as many, or a
                direction that is none.
            ServerError: the server did not answer, or refused.
        """
        if direction not in (1, -1):
            raise InputError(f"expected the direction 1 or -1, got {direction}")
        images = _checked(images)
        count, wanted = len(images), np.asarray(targets, np.int32)
        if wanted.shape not in ((), (count,)):
            raise InputError(f"expected one target, or {count}, got shape {wanted.shape}")
        found = self.ask(
            "explain",
            images=images,
            target=np.broadcast_to(wanted, count),
            direction=np.full(count, direction, np.int32),
            rho=np.full(count, rho, np.float32),
        )
        return Explained(**{name: found[name] for name in Explained._fields})

    def ask(self, signature: str, **inputs: Any) -> dict[str, np.ndarray]:
        """Any signature of the model: named arrays in, named arrays out.

        Raises:
            ServerError: the server did not answer, or refused.
        """
        return self._channel.ask(signature, {k: np.asarray(v) for k, v in inputs.items()})

    def metadata(self) -> Signatures:
        """The model's signatures: name → "inputs" or "outputs" → name → dtype and shape.

        −1 in a shape is any size.

        Raises:
            ServerError: the server did not answer, or refused.
        """
        return self._channel.metadata()

    def status(self) -> dict[int, str]:
        """The model's versions and what each is: "AVAILABLE", "LOADING", "END", …

        Raises:
            ServerError: the server did not answer, or has no such model.
        """
        return self._channel.status()


def _checked(images: Any) -> np.ndarray:
    """Images as float32.

    Raises:
        InputError: another shape, or values outside [0, 1].
    """
    images = np.asarray(images, np.float32)
    if images.ndim != 4:
        raise InputError(f"expected images (B, H, W, C), got shape {images.shape}")
    if images.size and not (images.min() >= 0 and images.max() <= 1):
        raise InputError(
            f"expected pixels from 0 to 1, got {images.min():.3g} to {images.max():.3g}; divide "
            "8-bit images by 255"
        )
    return images
