"""Answers checked requests: named arrays in, named arrays out. gRPC and REST share it.

Error codes and texts are TF Serving's own wherever it has one for the case.
"""

import math
import threading
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tfrobust.errors import reason_of
from tfrobust.serving.lane import Lane, check_wanted
from tfrobust.serving.models import Models
from tfrobust.serving.refused import Refused
from tfrobust.serving.settings import Settings
from tfrobust.serving.version import Version, is_batched

DEFAULT_SIGNATURE = "serving_default"
# Explanations are computed for so many images at a time, which takes no longer for each. Between
# two blocks a request is dropped whose client has left.
BLOCK = 8


class Announced(NamedTuple):
    """An input as its message announces it, before it is unpacked.

    Args:
        dtype: its type.
        shape: its shape.
        unpack: gives the array; it raises `Refused` or ValueError if the message holds another.
    """

    dtype: tf.DType
    shape: tuple[int, ...]
    unpack: Callable[[], np.ndarray]

    @classmethod
    def of(cls, array: np.ndarray) -> "Announced":
        """What an array announces."""
        dtype = tf.string if array.dtype.kind in "OSU" else tf.dtypes.as_dtype(array.dtype)
        return cls(dtype, array.shape, lambda: array)


class Engine:
    """Answers requests, and bounds how many it works on.

    Predictions do not wait for explanations, which take many times as long.

    Args:
        models: the models that it serves.
        settings: how many requests of either kind are computed at once, and how many more may wait.
            Any further request is refused with UNAVAILABLE.
    """

    def __init__(self, models: Models, settings: Settings) -> None:
        self.models = models
        self._most_bytes, self._most_images = settings.message_bytes, settings.most_images
        self._begun: set[threading.Event] = set()
        self._predictions = Lane(settings.workers, settings.queue)
        self._explanations = Lane(settings.workers, settings.queue)

    def find(self, name: str, version: int | None = None, label: str = "") -> Version:
        """The version that a request asks for.

        Args:
            name: the model's name.
            version: the version's number; None for the newest.
            label: the version's label; "" for none.

        Raises:
            Refused: the name is empty, or there is no such model, version or label.
        """
        if not name:
            raise Refused("INVALID_ARGUMENT", "ModelSpec has no name specified.")
        if label:
            if version is not None:
                raise Refused("INVALID_ARGUMENT", "Both version and version_label are given.")
            version = self._labelled(name, label)
        found = self.models.get(name, version)
        if found is None:
            wanted = f"Latest({name})" if version is None else f"Specific({name}, {version})"
            raise Refused("NOT_FOUND", f"Servable not found for request: {wanted}")
        return found

    def _labelled(self, name: str, label: str) -> int:
        version = self.models.labelled(name, label)
        if version is None:
            raise Refused("INVALID_ARGUMENT", f"Unrecognized servable version label: {label}")
        return version

    def states(
        self, name: str, version: int | None = None, label: str = ""
    ) -> dict[int, tuple[int, str]]:
        """The state of each version of a model, or of one.

        Args:
            name: the model's name.
            version: the version's number; None for all.
            label: the version's label; "" for all.

        Returns:
            The version's number → its state, and what is wrong with it.

        Raises:
            Refused: there is no such version.
        """
        if label:
            version = self._labelled(name, label)
        states = self.models.status(name)
        if version is not None:
            states = {number: state for number, state in states.items() if number == version}
        if not states:
            raise Refused("NOT_FOUND", f"Could not find any versions of model {name}")
        return states

    def answer(
        self,
        version: Version,
        signature: str,
        inputs: Mapping[str, Announced],
        left: threading.Event,
    ) -> dict[str, np.ndarray]:
        """Calls a signature.

        Inputs are unpacked only once they fit the signature and their turn has come, so that what
        waits takes no more memory than its messages.

        Args:
            version: what `find` gave.
            signature: the signature's name; "" for the default one.
            inputs: an array for each input.
            left: is set when nobody waits for the answer any more.

        Returns:
            An array for each output.

        Raises:
            Refused: there is no such signature, the inputs do not fit it, too many requests wait,
                or nobody waits for the answer.
        """
        signature = signature or DEFAULT_SIGNATURE
        self._check(version, signature, inputs)
        lane = self._predictions if signature == DEFAULT_SIGNATURE else self._explanations
        self._begun.add(left)
        try:
            with lane.turn(left):
                return _computed(version, signature, inputs, left)
        except (tf.errors.InvalidArgumentError, ValueError, TypeError) as error:
            raise Refused("INVALID_ARGUMENT", reason_of(error)) from None
        finally:
            self._begun.discard(left)

    @property
    def is_busy(self) -> bool:
        """Whether anything is computed or waits."""
        return bool(self._begun)

    def refuse_examples(self, version: Version, signature: str, kind: str, verb: str) -> None:
        """Refuses what asks a signature for tf.Examples, in TF Serving's words.

        Raises:
            Refused: always.
        """
        definition = version.signatures.get(signature or DEFAULT_SIGNATURE)
        if definition is None:
            words = f"No signature was found with the name: {signature or DEFAULT_SIGNATURE}"
        else:
            words = (
                f"Expected {kind} signature method_name to be tensorflow/serving/{verb}. Was: "
                f"{definition.method_name}"
            )
        raise Refused("INVALID_ARGUMENT", words)

    def drop_all(self) -> None:
        """Ends all that is computed or waits, as if its clients had left."""
        for left in list(self._begun):
            left.set()

    def _check(self, version: Version, signature: str, inputs: Mapping[str, Announced]) -> None:
        """Refuses inputs that do not fit the signature, or are too many."""
        specs = version.inputs.get(signature)
        if specs is None:
            known = ", ".join(sorted(version.signatures))
            raise Refused(
                "FAILED_PRECONDITION",
                f'Serving signature name: "{signature}" not found in signature def; it has {known}',
            )
        for name, spec in specs.items():
            if name not in inputs:
                raise Refused("INVALID_ARGUMENT", f"input {name} is missing")
            _check_fits(name, inputs[name], spec)
        if unknown := sorted(set(inputs) - set(specs)):
            raise Refused(
                "INVALID_ARGUMENT",
                f"input(s) {', '.join(unknown)} not in the signature, which takes "
                f"{', '.join(sorted(specs))}",
            )
        # TF Serving's batching wants the same, in these words.
        counts = {
            one.shape[0] for name, one in inputs.items() if one.shape and is_batched(specs[name])
        }
        if len(counts) > 1:
            raise Refused(
                "INVALID_ARGUMENT",
                "Batching Run() input tensors must have equal 0th-dimension size, got "
                f"{sorted(counts)}",
            )
        if counts == {0}:
            raise Refused("INVALID_ARGUMENT", "expected at least one image, got none")
        if counts and max(counts) > self._most_images:
            raise Refused(
                "INVALID_ARGUMENT",
                f"Task size {max(counts)} is larger than maximum input batch size "
                f"{self._most_images}",
            )
        for name, one in inputs.items():
            if math.prod(one.shape) * max(one.dtype.size or 1, 1) > self._most_bytes:
                raise Refused("INVALID_ARGUMENT", f"input {name}: too large, {list(one.shape)}")


def _computed(
    version: Version, signature: str, inputs: Mapping[str, Announced], left: threading.Event
) -> dict[str, np.ndarray]:
    """Unpacks the inputs, and calls the signature for all images or for a block after the other."""
    check_wanted(left)
    arrays = {name: one.unpack() for name, one in inputs.items()}
    count = next((len(array) for array in arrays.values() if array.ndim), 0)
    if count <= BLOCK or signature == DEFAULT_SIGNATURE or not version.is_by_image(signature):
        outputs = version.run(signature, _tensors(version, signature, arrays))
        return {name: np.asarray(value.numpy()) for name, value in outputs.items()}
    found: list[dict[str, np.ndarray]] = []
    for start in range(0, count, BLOCK):
        check_wanted(left)
        block = {name: array[start : start + BLOCK] for name, array in arrays.items()}
        outputs = version.run(signature, _tensors(version, signature, block))
        found.append({name: np.asarray(value.numpy()) for name, value in outputs.items()})
    return {name: np.concatenate([one[name] for one in found]) for name in found[0]}


def _tensors(
    version: Version, signature: str, arrays: Mapping[str, np.ndarray]
) -> dict[str, tf.Tensor]:
    specs = version.inputs[signature]
    return {name: tf.constant(array, specs[name].dtype) for name, array in arrays.items()}


def _check_fits(name: str, announced: Announced, spec: tf.TensorSpec) -> None:
    """Refuses an input of another type or shape than its signature says."""
    if announced.dtype != spec.dtype:
        raise Refused(
            "INVALID_ARGUMENT",
            f"input {name}: expected {spec.dtype.name}, got {announced.dtype.name}",
        )
    if not spec.shape.is_compatible_with(announced.shape):
        raise Refused(
            "INVALID_ARGUMENT",
            f"input {name}: expected shape {spec.shape.as_list()}, got {list(announced.shape)}",
        )
