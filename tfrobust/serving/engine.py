"""From named arrays to named arrays, checked: what gRPC and REST share.

Codes and texts are those of TF Serving, where it has one for the case.
"""

import threading
from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from tfrobust.serving.models import Models, Version

DEFAULT_SIGNATURE = "serving_default"


class Refused(Exception):
    """A request that is not answered.

    Args:
        code: gRPC's name, such as "NOT_FOUND".
        message: for people.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Engine:
    """Answers requests, a bounded number at a time.

    Args:
        models: that answer.
        workers: requests computed at once.
        queue: requests that may wait; one more is refused with UNAVAILABLE.
        most_bytes: of a request's inputs.
    """

    def __init__(self, models: Models, *, workers: int, queue: int, most_bytes: int) -> None:
        self.models, self.most_bytes = models, most_bytes
        self._computing = threading.BoundedSemaphore(workers)
        self._room = threading.BoundedSemaphore(workers + queue)

    def find(self, name: str, version: int | None = None) -> Version:
        """The version that a request asks for.

        Raises:
            Refused: no name, or no such model.
        """
        if not name:
            raise Refused("INVALID_ARGUMENT", "ModelSpec has no name specified.")
        found = self.models.get(name, version)
        if found is None:
            wanted = f"Latest({name})" if version is None else f"Specific({name}, {version})"
            raise Refused("NOT_FOUND", f"Servable not found for request: {wanted}")
        return found

    def answer(
        self, version: Version, signature: str, inputs: Mapping[str, np.ndarray]
    ) -> dict[str, np.ndarray]:
        """Computes.

        Args:
            version: from `find`.
            signature: its name; "" for the default one.
            inputs: arrays by name.

        Raises:
            Refused: no such signature, inputs that do not fit it, or too many requests.
        """
        signature = signature or DEFAULT_SIGNATURE
        specs = version.inputs.get(signature)
        if specs is None:
            known = ", ".join(sorted(version.signatures))
            raise Refused(
                "FAILED_PRECONDITION",
                f'Serving signature name: "{signature}" not found in signature def; it has {known}',
            )
        tensors = {name: _fitting(name, inputs, spec) for name, spec in specs.items()}
        if unknown := sorted(set(inputs) - set(specs)):
            raise Refused(
                "INVALID_ARGUMENT",
                f"input(s) {', '.join(unknown)} not in the signature, which takes "
                f"{', '.join(sorted(specs))}",
            )
        if not self._room.acquire(blocking=False):
            raise Refused("UNAVAILABLE", "The queue is full; try again later")
        try:
            with self._computing:
                outputs = version.run(signature, tensors)
        except (tf.errors.InvalidArgumentError, ValueError, TypeError) as error:
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise Refused("INVALID_ARGUMENT", reason) from None
        finally:
            self._room.release()
        return {name: np.asarray(value.numpy()) for name, value in outputs.items()}


def _fitting(name: str, inputs: Mapping[str, np.ndarray], spec: tf.TensorSpec) -> tf.Tensor:
    """An input as its signature wants it.

    Raises:
        Refused: it is missing, or of another type or shape.
    """
    if name not in inputs:
        raise Refused("INVALID_ARGUMENT", f"input {name} is missing")
    value, dtype = inputs[name], spec.dtype
    if dtype == tf.string:
        wrong = value.dtype.kind not in "OSU"
    else:
        wrong = value.dtype != dtype.as_numpy_dtype
    if wrong:
        raise Refused(
            "INVALID_ARGUMENT", f"input {name}: expected {dtype.name}, got {value.dtype.name}"
        )
    if not spec.shape.is_compatible_with(value.shape):
        raise Refused(
            "INVALID_ARGUMENT",
            f"input {name}: expected shape {spec.shape.as_list()}, got {list(value.shape)}",
        )
    return tf.constant(value, dtype)
