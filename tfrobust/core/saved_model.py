"""SavedModels of any origin, to be called, differentiated and attacked like Keras networks."""

from pathlib import Path
from typing import Any

import tensorflow as tf

from tfrobust.core.classifier import Classifier
from tfrobust.core.config import config_of
from tfrobust.errors import InputError


def read(folder: Path) -> Classifier:
    """Reads a SavedModel's signature `serving_default`.

    A SavedModel is a program: read those only whose maker you trust.

    Args:
        folder: holds a SavedModel whose signature takes images and gives `logits`.

    Raises:
        InputError: it cannot be read, or the signature is another.
    """
    try:
        # The loaded object owns the variables that its signatures use.
        owner = tf.saved_model.load(str(folder))
    except Exception as error:  # what a damaged file raises is anything at all
        raise InputError(f"expected a SavedModel; {folder} cannot be read: {error}") from None
    signature = owner.signatures.get("serving_default")
    inputs = {} if signature is None else signature.structured_input_signature[1]
    outputs = {} if signature is None else signature.structured_outputs
    if len(inputs) != 1 or "logits" not in outputs:
        raise InputError(
            f"expected at {folder} a signature serving_default with one input and the output "
            f"logits, got inputs {sorted(inputs)} and outputs {sorted(outputs)}"
        )
    ((taken, spec),) = inputs.items()
    return Classifier(
        Signature(owner, signature, taken, "logits"),
        name=folder.name,
        input_shape=_as_tuple(spec.shape),
        num_classes=outputs["logits"].shape[-1],
    )


class Signature:
    """A signature of a SavedModel as a function of images.

    Args:
        owner: what was loaded; it is kept, because it owns the signature's variables.
        signature: the signature.
        taken: the name of its input.
        given: the name of its output.
    """

    def __init__(self, owner: Any, signature: Any, taken: str, given: str) -> None:
        self._owner, self._signature = owner, signature
        self._taken, self._given = taken, given

    def __call__(self, images: tf.Tensor) -> tf.Tensor:
        """What the signature gives for images float32 (B, H, W, C)."""
        return self._signature(**{self._taken: images})[self._given]

    def config(self) -> dict[str, Any]:
        """What it is, in JSON types: see `Configured.config`."""
        held = [variable.numpy() for variable in self._signature.variables]
        return {"class": "SavedModel", "output": self._given, "variables": config_of(held)}


def _as_tuple(shape: tf.TensorShape) -> tuple[int | None, ...] | None:
    return None if shape.rank is None else tuple(shape.as_list())
