"""A client of TF Serving's gRPC service, for networks exported by this package.

NumPy arrays go in, named results come out. TF Serving's stubs (`pip install "tfrobust[serving]"`)
import TensorFlow's message types, and with them TensorFlow.
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tfrobust.errors import InputError, ReportedError

MESSAGE_BYTES = 64 << 20  # gRPC's own limit is 4 MiB: six explanations of 224 × 224
# gRPC's own policy: only what never reached the server is sent again.
RETRIES = {
    "methodConfig": [
        {
            "name": [{"service": "tensorflow.serving.PredictionService"}],
            "retryPolicy": {
                "maxAttempts": 4,
                "initialBackoff": "0.1s",
                "maxBackoff": "2s",
                "backoffMultiplier": 2,
                "retryableStatusCodes": ["UNAVAILABLE"],
            },
        }
    ]
}


class ServerError(ReportedError):
    """The server refused, failed, or cannot be reached.

    Args:
        code: gRPC's name of what went wrong, such as "NOT_FOUND" or "DEADLINE_EXCEEDED".
        message: for people.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


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

    Args:
        server: "host:port" of its gRPC port.
        model: the model's name there.
        version: which of its versions; the newest when None.
        timeout: seconds that one request may take, retries included.
        certificate: a file with the certificate (PEM) that the server's must be signed by; None
            speaks without TLS, which is for this machine only.
        message_bytes: the largest message sent or received.

    Raises:
        ReportedError: TF Serving's stubs are not installed.
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
        grpc = _stubs()
        if timeout <= 0 or message_bytes < 1:
            raise InputError(
                f"expected a timeout and message_bytes above 0, got {timeout}, {message_bytes}"
            )
        options = [
            ("grpc.max_send_message_length", message_bytes),
            ("grpc.max_receive_message_length", message_bytes),
            ("grpc.service_config", json.dumps(RETRIES)),
        ]
        if certificate is None:
            self._channel = grpc.insecure_channel(server, options)
        else:
            try:
                root = Path(certificate).read_bytes()
            except OSError as error:
                raise InputError(f"expected a certificate at {certificate}: {error}") from None
            self._channel = grpc.secure_channel(server, grpc.ssl_channel_credentials(root), options)
        self.server, self.model, self.version, self.timeout = server, model, version, timeout

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
            InputError: images of another shape or range, or a direction that is none.
            ServerError: the server did not answer, or refused.
        """
        if direction not in (1, -1):
            raise InputError(f"expected the direction 1 or -1, got {direction}")
        images = _checked(images)
        count = len(images)
        found = self.ask(
            "explain",
            images=images,
            target=np.broadcast_to(np.asarray(targets, np.int32), count),
            direction=np.full(count, direction, np.int32),
            rho=np.full(count, rho, np.float32),
        )
        return Explained(**{name: found[name] for name in Explained._fields})

    def ask(self, signature: str, **inputs: Any) -> dict[str, np.ndarray]:
        """Any signature of the model: named arrays in, named arrays out.

        Raises:
            ServerError: the server did not answer, or refused.
        """
        import tensorflow as tf
        from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

        request = predict_pb2.PredictRequest()
        self._name(request.model_spec)
        request.model_spec.signature_name = signature
        for name, value in inputs.items():
            request.inputs[name].CopyFrom(tf.make_tensor_proto(np.asarray(value)))
        stub = prediction_service_pb2_grpc.PredictionServiceStub(self._channel)
        reply = self._call(stub.Predict, request)
        return {name: tf.make_ndarray(value) for name, value in reply.outputs.items()}

    def metadata(self) -> dict[str, dict[str, dict[str, tuple[str, tuple[int, ...]]]]]:
        """The model's signatures: name → "inputs" or "outputs" → name → dtype and shape.

        −1 in a shape is any size.

        Raises:
            ServerError: the server did not answer, or refused.
        """
        import tensorflow as tf
        from tensorflow_serving.apis import get_model_metadata_pb2, prediction_service_pb2_grpc

        request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
        self._name(request.model_spec)
        stub = prediction_service_pb2_grpc.PredictionServiceStub(self._channel)
        packed = self._call(stub.GetModelMetadata, request).metadata["signature_def"]
        signatures = get_model_metadata_pb2.SignatureDefMap()
        packed.Unpack(signatures)

        def told(tensors: Any) -> dict[str, tuple[str, tuple[int, ...]]]:
            return {
                name: (
                    tf.dtypes.as_dtype(one.dtype).name,
                    tuple(dim.size for dim in one.tensor_shape.dim),
                )
                for name, one in tensors.items()
            }

        return {
            name: {"inputs": told(one.inputs), "outputs": told(one.outputs)}
            for name, one in signatures.signature_def.items()
            if not name.startswith("__")  # TensorFlow's own, such as what initialises tables
        }

    def status(self) -> dict[int, str]:
        """The model's versions and what each is: "AVAILABLE", "LOADING", "END", …

        Raises:
            ServerError: the server did not answer, or has no such model.
        """
        from tensorflow_serving.apis import get_model_status_pb2, model_service_pb2_grpc

        request = get_model_status_pb2.GetModelStatusRequest()
        self._name(request.model_spec)
        stub = model_service_pb2_grpc.ModelServiceStub(self._channel)
        reply = self._call(stub.GetModelStatus, request)
        states = get_model_status_pb2.ModelVersionStatus.State
        return {one.version: states.Name(one.state) for one in reply.model_version_status}

    def _name(self, spec: Any) -> None:
        spec.name = self.model
        if self.version is not None:
            spec.version.value = self.version

    def _call(self, method: Callable[..., Any], request: Any) -> Any:
        import grpc

        try:
            return method(request, timeout=self.timeout)
        except grpc.RpcError as error:
            code, told = error.code().name, error.details()
            advice = {
                "UNAVAILABLE": "is it running, and is this its gRPC port?",
                "DEADLINE_EXCEEDED": f"nothing came within {self.timeout:g} s; ask for fewer "
                "images at a time, or give a longer timeout",
                "RESOURCE_EXHAUSTED": "send fewer images at a time, or raise message_bytes here "
                "and the limit there",
                "NOT_FOUND": f"is {self.model} its name there, and the version served?",
            }.get(code, "")
            raise ServerError(
                code, f"{self.server} answered {code}: {told}. {advice}".rstrip()
            ) from None


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


def _stubs() -> Any:
    """gRPC, once TF Serving's stubs are known to be there too."""
    try:
        import grpc
        import tensorflow_serving.apis  # noqa: F401
    except ImportError as error:
        raise ReportedError(
            "asking a server takes TF Serving's stubs: pip install 'tfrobust[serving]'"
        ) from error
    return grpc
