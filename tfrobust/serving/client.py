"""A client of TF Serving, for networks that this package exported.

NumPy arrays go in and named results come out. Over gRPC, TF Serving's message types import
TensorFlow. Over REST nothing of TensorFlow is needed.
"""

from collections.abc import Sequence
from typing import Any, Self

import numpy as np

from tfrobust.core.images import checked_images
from tfrobust.serving import answers, parts
from tfrobust.serving.answers import Distance, Explained, Predicted, PredictedLabels
from tfrobust.serving.base_client import BaseClient
from tfrobust.serving.channel import Address, Channel, ServerError, Signatures

__all__ = ["Client", "Distance", "Explained", "Predicted", "PredictedLabels", "ServerError"]


class Client(BaseClient[Channel]):
    """Asks one model of a server.

    A request that did not reach the server is sent again until the timeout. No other request is,
    as it may already have been answered.

    Args:
        server: "host:port" of the gRPC port, "unix:/path" of a socket on which gRPC listens, or
            "http://host:port" of the REST port. REST takes several times as many bytes. An IPv6
            address stands in brackets.
        model: the model's name on the server.
        version: the version's number; None for the newest.
        version_label: the version's label on the server, such as "stable", in the place of its
            number.
        timeout: seconds that one request may take, with all its attempts.
        certificate: a PEM file with the certificate that the server's must be signed by. None
            means no TLS over gRPC, which is safe on one machine only, and the system's own
            certificates for "https://".
        client_certificate: a PEM file with the certificate that this client shows (mTLS).
        client_key: a PEM file with its private key.
        token: is shown to the server as "authorization: Bearer <token>". Without TLS everyone
            between can read it.
        metadata: further pairs of a name and a value that go along with each request.
        message_bytes: the largest message that is sent or received.
        most_images: more images than these are asked for in several requests, one after the other,
            each with its own timeout. TF Serving's batching refuses larger ones.

    Raises:
        InputError: a certificate or key cannot be read, a number is out of range, or two arguments
            exclude one another.
    """

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
        return answers.predicted(self._asked("serving_default", images=checked_images(images)))

    def predict_files(self, files: Sequence[bytes]) -> Predicted:
        """Classifies PNG and JPEG files. The server decodes and resizes them.

        Args:
            files: the bytes of each file.

        Returns:
            What the network says of each.

        Raises:
            ServerError: the server did not answer, or refused, as it does if a file is no picture.
        """
        encoded = np.array(list(files), object)
        return answers.predicted(self._asked("predict_bytes", encoded=encoded))

    def predict_labels(self, images: Any) -> PredictedLabels:
        """Asks a network of several labels which of them hold.

        Args:
            images: float (B, H, W, C), pixels in [0, 1].

        Returns:
            What the network says of each image and label.

        Raises:
            InputError: the images have another shape or range.
            ServerError: the server did not answer, or refused, or the network tells classes apart.
        """
        asked = self._asked("serving_default", images=checked_images(images))
        return answers.predicted_labels(asked)

    def predict_labels_of_files(self, files: Sequence[bytes]) -> PredictedLabels:
        """`predict_labels` of PNG and JPEG files, as `predict_files` sends them."""
        encoded = np.array(list(files), object)
        return answers.predicted_labels(self._asked("predict_bytes", encoded=encoded))

    def robustness(self, images: Any, targets: Any = None) -> Distance:
        """Asks how far the decisions are from changing.

        Args:
            images: float (B, H, W, C), pixels in [0, 1].
            targets: for a network of several labels, the label that the decision is about, int
                (B,), or one for all images; −1 is the likeliest label. None for classes.

        Returns:
            The distance of each decision.

        Raises:
            InputError: the images have another shape or range, or the number of targets differs.
            ServerError: the server did not answer, or refused.
        """
        inputs = answers.robustness_inputs(images, targets)
        return answers.distance(self._asked("robustness", **inputs))

    def explain(
        self, images: Any, targets: Any = -1, *, direction: int = 1, rho: float = 0.1
    ) -> Explained:
        """Changes images so that the network becomes surer of a class, or less sure.

        Args:
            images: float (B, H, W, C), pixels in [0, 1].
            targets: the classes or labels to explain, int (B,), or one for all images. −1 is the
                class that the network predicts, or the likeliest label.
            direction: +1 makes the network surer of the class, −1 less sure.
            rho: the size of the change, RMSE of pixels in [0, 1].

        Returns:
            The changed images, and how sure the network is before and after.

        Raises:
            InputError: the images have another shape or range, the number of targets differs, or
                the direction is neither 1 nor −1.
            ServerError: the server did not answer, or refused.
        """
        inputs = answers.explain_inputs(images, targets, direction, rho)
        return answers.explained(self._asked("explain", **inputs))

    def ask(self, signature: str, **inputs: Any) -> dict[str, np.ndarray]:
        """Calls any signature of the model, by one request: named arrays in, named arrays out.

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

    def _asked(self, signature: str, **inputs: np.ndarray) -> dict[str, np.ndarray]:
        """Calls a signature, in as many requests as the images need."""
        return parts.join([self._channel.ask(signature, part) for part in self._parts(inputs)])

    @staticmethod
    def _open(address: Address) -> Channel:
        # Each is imported only if it is used: the REST channel works without TensorFlow and gRPC.
        if address.is_rest:
            from tfrobust.serving.rest_channel import RestChannel

            return RestChannel(address)
        from tfrobust.serving.grpc_channel import GrpcChannel

        return GrpcChannel(address)
