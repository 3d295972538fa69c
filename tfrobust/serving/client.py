"""A client of TF Serving, for networks that this package exported.

NumPy arrays go in and named results come out. Over gRPC, TF Serving's message types import
TensorFlow. Over REST nothing of TensorFlow is needed.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np

from tfrobust.core.images import checked_images
from tfrobust.errors import InputError
from tfrobust.serving.channel import Address, Channel, ServerError, Signatures

__all__ = ["Client", "Distance", "Explained", "Predicted", "ServerError"]

MESSAGE_BYTES = 64 << 20  # gRPC's own limit is 4 MiB: six explanations of 224 × 224 pixels.


class Predicted(NamedTuple):
    """What a network says of B images.

    Args:
        logits: float32 (B, K).
        probabilities: float32 (B, K), the softmax of the logits.
        class_id: int32 (B,), the class of the largest logit.
        class_name: the B names of these classes.
    """

    logits: np.ndarray
    probabilities: np.ndarray
    class_id: np.ndarray
    class_name: list[str]


class Explained(NamedTuple):
    """Adversarial explanations of B images, as `tfrobust.explain` gives them.

    Args:
        explanation: float32 (B, H, W, C), the image after the change.
        difference: float32 (B, H, W, C), the change itself.
        target: int32 (B,), the class that is explained.
        confidence_before: float32 (B,), the probability of the target for the image.
        confidence_after: float32 (B,), its probability for the explanation.
        rmse: float32 (B,), the size of the change: root of the mean square over an image's pixels,
            which lie in [0, 1].
    """

    explanation: np.ndarray
    difference: np.ndarray
    target: np.ndarray
    confidence_before: np.ndarray
    confidence_after: np.ndarray
    rmse: np.ndarray


class Distance(NamedTuple):
    """How far the decisions on B images are from changing.

    The exported model measures it with the linearised attack.

    Args:
        rmse: float32 (B,), the size of the smallest perturbation found that changes the decision:
            root of the mean square over an image's pixels, which lie in [0, 1]. The true distance
            may be smaller. Infinite where no perturbation was found.
        found: bool (B,), whether one was found.
        class_id: int32 (B,), the decision.
        rival: int32 (B,), the decision after the perturbation; −1 where none was found.
    """

    rmse: np.ndarray
    found: np.ndarray
    class_id: np.ndarray
    rival: np.ndarray


class Client:
    """Asks one model of a server.

    A request that did not reach the server is sent again until the timeout. No other request is,
    as it may already have been answered.

    Args:
        server: "host:port" of the gRPC port, or "http://host:port" of the REST port. REST takes
            several times as many bytes.
        model: the model's name on the server.
        version: the version's number; None for the newest.
        timeout: seconds that one request may take, with all its attempts.
        certificate: a PEM file with the certificate that the server's must be signed by. None
            means no TLS over gRPC, which is safe on one machine only, and the system's own
            certificates for "https://".
        message_bytes: the largest message that is sent or received.

    Raises:
        InputError: the certificate cannot be read, or a number is out of range.
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
        address = Address(
            server=server,
            model=model,
            version=version,
            timeout=timeout,
            certificate=certificate,
            message_bytes=message_bytes,
        )
        self._channel = _open(address)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends the connection."""
        self._channel.close()

    def predict(self, images: Any) -> Predicted:
        """Classifies images.

        Args:
            images: float (B, H, W, C), pixels in [0, 1].

        Returns:
            What the network says of each.

        Raises:
            InputError: the images have another shape or range.
            ServerError: the server did not answer, or refused.
        """
        return self._predicted("serving_default", images=checked_images(images))

    def predict_files(self, files: Sequence[bytes]) -> Predicted:
        """Classifies PNG and JPEG files. The server decodes and resizes them.

        Args:
            files: the bytes of each file.

        Returns:
            What the network says of each.

        Raises:
            ServerError: the server did not answer, or refused, as it does if a file is no picture.
        """
        return self._predicted("predict_bytes", encoded=np.array(list(files), object))

    def robustness(self, images: Any) -> Distance:
        """Asks how far the decisions are from changing.

        Args:
            images: float (B, H, W, C), pixels in [0, 1].

        Returns:
            The distance of each decision.

        Raises:
            InputError: the images have another shape or range.
            ServerError: the server did not answer, or refused.
        """
        found = self.ask("robustness", images=checked_images(images))
        return Distance(**{name: found[name] for name in Distance._fields})

    def explain(
        self, images: Any, targets: Any = -1, *, direction: int = 1, rho: float = 0.1
    ) -> Explained:
        """Changes images so that the network becomes surer of a class, or less sure.

        Args:
            images: float (B, H, W, C), pixels in [0, 1].
            targets: the classes to explain, int (B,), or one for all images. −1 is the class that
                the network predicts.
            direction: +1 makes the network surer of the class, −1 less sure.
            rho: the size of the change, RMSE of pixels in [0, 1].

        Returns:
            The changed images, and how sure the network is before and after.

        Raises:
            InputError: the images have another shape or range, the number of targets differs, or
                the direction is neither 1 nor −1.
            ServerError: the server did not answer, or refused.
        """
        if direction not in (1, -1):
            raise InputError(f"expected the direction 1 or -1, got {direction}")
        images = checked_images(images)
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
        """Calls any signature of the model: named arrays in, named arrays out.

        Args:
            signature: its name.
            **inputs: one array for each input of the signature.

        Returns:
            One array for each output.

        Raises:
            ServerError: the server did not answer, or refused.
        """
        arrays = {name: np.asarray(value) for name, value in inputs.items()}
        return self._channel.ask(signature, arrays)

    def metadata(self) -> Signatures:
        """The model's signatures.

        Returns:
            The signature's name → "inputs" or "outputs" → name → dtype and shape. A size of −1
            means any size.

        Raises:
            ServerError: the server did not answer, or refused.
        """
        return self._channel.metadata()

    def status(self) -> dict[int, str]:
        """The state of each of the model's versions: "AVAILABLE", "LOADING", "END", …

        Returns:
            The version's number → its state.

        Raises:
            ServerError: the server did not answer, or has no such model.
        """
        return self._channel.status()

    def _predicted(self, signature: str, **inputs: np.ndarray) -> Predicted:
        found = self.ask(signature, **inputs)
        names = [name.decode() for name in found["class_name"]]
        return Predicted(found["logits"], found["probabilities"], found["class_id"], names)


def _open(address: Address) -> Channel:
    # Each is imported only if it is used: the REST channel works without TensorFlow and gRPC.
    if address.server.startswith(("http://", "https://")):
        from tfrobust.serving.rest_channel import RestChannel

        return RestChannel(address)
    from tfrobust.serving.grpc_channel import GrpcChannel

    return GrpcChannel(address)
