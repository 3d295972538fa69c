"""SavedModels of any origin, to be called, differentiated and attacked like Keras networks."""

from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from tfrobust.core.classifier import Classifier
from tfrobust.core.config import config_of
from tfrobust.core.function_logits import FunctionLogits
from tfrobust.core.input_range import BYTES, FREE_SIDE
from tfrobust.core.keras_inputs import channels_first
from tfrobust.core.outputs import Thresholds, checked_thresholds
from tfrobust.errors import InputError

# The output by which an export says that its logits are those of labels that may hold together.
THRESHOLDS = "thresholds"
# Signatures to look for first, as TensorFlow and Keras call them.
USUAL = ("serving_default", "serve")


def read(folder: Path) -> Classifier:
    """Reads a signature of a SavedModel that takes images and gives outputs (B, K).

    A SavedModel is a program: read those only whose maker you trust.

    Args:
        folder: holds a SavedModel, of whoever's making.

    Raises:
        InputError: it cannot be read, or has no such signature.
    """
    try:
        # The loaded object owns the variables that its signatures use.
        owner = tf.saved_model.load(str(folder))
    except Exception as error:  # what a damaged file raises is anything at all
        raise InputError(f"expected a SavedModel; {folder} cannot be read: {error}") from None
    return of_loaded(owner, folder.name)


def of_loaded(owner: Any, name: str = "SavedModel") -> Classifier:
    """The classifier that a loaded SavedModel is by one of its signatures.

    Args:
        owner: what `tf.saved_model.load` gave.
        name: what reports and errors call it.

    Raises:
        InputError: it has no such signature, or several of which none has the usual name.
    """
    found = {key: _signature(owner, one) for key, one in owner.signatures.items()}
    right = {key: one for key, one in found.items() if one is not None}
    usual = [right[key] for key in USUAL if key in right]
    if len(right) > 1 and not usual:
        raise InputError(
            f"expected of {name} one signature that classifies images, or one of the name "
            f"{USUAL[0]}, got {sorted(right)}. Give the one that you mean as a function: "
            "tfrobust.as_classifier(lambda images: loaded.signatures[name](images)[output])"
        )
    if not right:
        told = {
            key: f"{_specs(one.structured_input_signature[1])} → {_specs(one.structured_outputs)}"
            for key, one in owner.signatures.items()
        }
        raise InputError(
            f"expected of {name} a signature with one input, images (None, height, width, "
            f"channels), and one output (None, classes), or one of the name logits; got {told}"
        )
    signature = (usual or list(right.values()))[0]
    asked = FunctionLogits(signature, name)
    if (thresholds := signature.thresholds()) is not None:
        asked = asked.told(None, "logits", "all", thresholds)
    whole = signature.dtype.is_floating
    return Classifier(
        asked if whole else asked.told(BYTES, None, None),
        name=name,
        input_shape=signature.input_shape,
        num_classes=2 if signature.count == 1 else signature.count,
        has_gradient=whole and _has_gradient(signature),
        input_range=None if whole else BYTES,
    )


class Signature:
    """A signature of a SavedModel as a function of float images (B, H, W, C).

    Args:
        owner: what was loaded; it is kept, because it owns the signature's variables.
        signature: the signature.
        taken: the name of its input.
        given: the name of its output.

    Attributes:
        dtype: of the input.
        input_shape: (None, H, W, C), also where it takes (None, C, H, W).
        count: how many outputs there are; None where it is not told.
    """

    def __init__(self, owner: Any, signature: Any, taken: str, given: str) -> None:
        self._owner, self._signature = owner, signature
        self._taken, self._given = taken, given
        spec, output = signature.structured_input_signature[1][taken], _outputs(signature)[given]
        self.dtype = spec.dtype
        self._batch, *sizes = spec.shape.as_list()
        self._first = channels_first(sizes)
        self.input_shape = (None, *sizes[1:], sizes[0]) if self._first else (None, *sizes)
        self.count = None if output.shape.rank is None else output.shape[-1]

    def __call__(self, images: tf.Tensor) -> tf.Tensor:
        """What the signature gives: (B, K)."""
        if not self.dtype.is_floating:
            images = tf.round(images)
        images = tf.cast(images, self.dtype)
        if self._first:
            images = tf.transpose(images, (0, 3, 1, 2))
        return self._ask(images) if self._batch is None else self._in_batches(images)

    def config(self) -> dict[str, Any]:
        """What it is, in JSON types: see `Configured.config`."""
        held = [variable.numpy() for variable in self._signature.variables]
        return {"class": "SavedModel", "output": self._given, "variables": config_of(held)}

    def thresholds(self) -> Thresholds | None:
        """The thresholds of several labels, which an export gives beside the logits; else None.

        Those that it keeps beside its signatures are of the logits' sigmoids, as is wanted here.
        The signature's own are of its probabilities, which may have a temperature.
        """
        if THRESHOLDS not in _outputs(self._signature):
            return None
        kept = getattr(self._owner, THRESHOLDS, None)
        if isinstance(kept, tf.Variable):
            return checked_thresholds(kept.numpy(), self.count)
        images = tf.zeros((1, *self.input_shape[1:]), self.dtype)
        found = self._signature(**{self._taken: images})[THRESHOLDS]
        return checked_thresholds(found.numpy()[0], self.count)

    def _ask(self, images: tf.Tensor) -> tf.Tensor:
        return self._signature(**{self._taken: images})[self._given]

    def _in_batches(self, images: tf.Tensor) -> tf.Tensor:
        """In batches of the number that it takes; the last one is filled up."""
        count = tf.shape(images)[0]
        filled = tf.pad(images, [[0, -count % self._batch], [0, 0], [0, 0], [0, 0]])
        parts = tf.reshape(filled, (-1, self._batch, *images.shape[1:]))
        values = tf.map_fn(
            lambda part: tf.cast(self._ask(part), tf.float32), parts, fn_output_signature=tf.float32
        )
        return tf.reshape(values, (-1, values.shape[-1]))[:count]


def _signature(owner: Any, signature: Any) -> Signature | None:
    """The signature, if it takes images and gives outputs (B, K)."""
    inputs = signature.structured_input_signature[1]
    if len(inputs) != 1:
        return None
    ((taken, spec),) = inputs.items()
    if spec.shape.rank != 4 or not (spec.dtype.is_floating or spec.dtype == tf.uint8):
        return None
    outputs = _outputs(signature)
    given = [
        name
        for name, one in outputs.items()
        if one.shape.rank in (2, None) and one.dtype.is_floating
    ]
    given = ["logits"] if "logits" in given else given
    return Signature(owner, signature, taken, given[0]) if len(given) == 1 else None


def _outputs(signature: Any) -> dict[str, Any]:
    given = signature.structured_outputs
    return given if isinstance(given, dict) else {}


def _specs(specs: Any) -> str:
    named = specs.items() if isinstance(specs, dict) else enumerate(tf.nest.flatten(specs))
    return ", ".join(f"{name} {one.dtype.name} {one.shape}" for name, one in named) or "nothing"


def _has_gradient(signature: Signature) -> bool:
    sizes = [size or FREE_SIDE for size in signature.input_shape[1:]]
    images = tf.constant(np.random.default_rng(0).random((2, *sizes), np.float32))
    with tf.GradientTape() as tape:
        tape.watch(images)
        values = signature(images)
    try:
        return tape.gradient(values, images) is not None
    except LookupError:  # an operation whose gradient was not saved
        return False
