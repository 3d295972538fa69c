"""Answers checked requests: named arrays in, named arrays out. gRPC and REST share it.

Error codes and texts are TF Serving's own wherever it has one for the case.
"""

import threading
from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from tfrobust.errors import reason_of
from tfrobust.serving.models import Models, Version
from tfrobust.serving.settings import Settings

DEFAULT_SIGNATURE = "serving_default"


class Refused(Exception):
    """A request that is not answered.

    Args:
        code: gRPC's name of the reason, such as "NOT_FOUND".
        message: for people.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Engine:
    """Answers requests, and bounds how many it works on.

    Args:
        models: the models that it serves.
        settings: how many requests are computed at once, and how many more may wait. Any further
            request is refused with UNAVAILABLE.
    """

    def __init__(self, models: Models, settings: Settings) -> None:
        self.models, self.most_bytes = models, settings.message_bytes
        self._computing = threading.BoundedSemaphore(settings.workers)
        self._room = threading.BoundedSemaphore(settings.workers + settings.queue)

    def find(self, name: str, version: int | None = None) -> Version:
        """The version that a request asks for.

        Args:
            name: the model's name.
            version: the version's number; None for the newest.

        Raises:
            Refused: the name is empty, or there is no such model.
        """
        if not name:
            raise Refused("INVALID_ARGUMENT", "ModelSpec has no name specified.")
        found = self.models.get(name, version)
        if found is None:
            wanted = f"Latest({name})" if version is None else f"Specific({name}, {version})"
            raise Refused("NOT_FOUND", f"Servable not found for request: {wanted}")
        return found

    def states(self, name: str, version: int | None = None) -> dict[int, tuple[int, str]]:
        """The state of each version of a model, or of one.

        Args:
            name: the model's name.
            version: the version's number; None for all.

        Returns:
            The version's number → its state, and what is wrong with it.

        Raises:
            Refused: there is no such version.
        """
        states = self.models.status(name)
        if version is not None:
            states = {number: state for number, state in states.items() if number == version}
        if not states:
            raise Refused("NOT_FOUND", f"Could not find any versions of model {name}")
        return states

    def answer(
        self, version: Version, signature: str, inputs: Mapping[str, np.ndarray]
    ) -> dict[str, np.ndarray]:
        """Calls a signature.

        Args:
            version: what `find` gave.
            signature: the signature's name; "" for the default one.
            inputs: an array for each input.

        Returns:
            An array for each output.

        Raises:
            Refused: there is no such signature, the inputs do not fit it, or too many requests
                wait.
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
            raise Refused("INVALID_ARGUMENT", reason_of(error)) from None
        finally:
            self._room.release()
        return {name: np.asarray(value.numpy()) for name, value in outputs.items()}


def _fitting(name: str, inputs: Mapping[str, np.ndarray], spec: tf.TensorSpec) -> tf.Tensor:
    """An input as a tensor.

    Raises:
        Refused: the input is missing, or has another type or shape than its signature says.
    """
    if name not in inputs:
        raise Refused("INVALID_ARGUMENT", f"input {name} is missing")
    value, dtype = inputs[name], spec.dtype
    is_text = value.dtype.kind in "OSU"
    fits = is_text if dtype == tf.string else value.dtype == dtype.as_numpy_dtype
    if not fits:
        raise Refused(
            "INVALID_ARGUMENT", f"input {name}: expected {dtype.name}, got {value.dtype.name}"
        )
    if not spec.shape.is_compatible_with(value.shape):
        raise Refused(
            "INVALID_ARGUMENT",
            f"input {name}: expected shape {spec.shape.as_list()}, got {list(value.shape)}",
        )
    return tf.constant(value, dtype)
