"""Writes the classifier and the explainer as ONNX, for programs without TensorFlow."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import onnx
import tensorflow as tf

from tfrobust.core.door import as_whole
from tfrobust.core.files import write_atomically
from tfrobust.core.onnx_file import THRESHOLDS
from tfrobust.exporting.onnx_conversion import convert
from tfrobust.exporting.signatures import answers, explain_inputs, explainer

CLASSIFIER = ("logits", "probabilities", "class_id")
LABELS = ("logits", "probabilities", "predicted")
# These are the signature's outputs, except that ONNX allows a name only once: `target` names the
# input, so the class that was explained is called `class_id`.
EXPLAINER = (
    "explanation",
    "difference",
    "class_id",
    "confidence_before",
    "confidence_after",
    "rmse",
    "gradient",
)


def write_classifier(
    network: keras.Model, path: Path, *, class_names: Sequence[str], temperature: float = 1.0
) -> None:
    """Writes a network as ONNX: images → logits, probabilities, class_id.

    Of a network of several labels it gives logits, probabilities and predicted, int32 (B, K) of 0
    and 1. The file's metadata hold the classes (`class_names`, a JSON list), what the input must be
    (`input`, JSON), and for several labels (`thresholds`, a JSON list) those of the logits'
    sigmoids, whatever the temperature. The file appears whole or not at all.

    Args:
        network: float32 images (B, H, W, C) in [0, 1] → logits (B, K).
        path: the file to write. An existing file is replaced.
        class_names: K names.
        temperature: as for `signatures.answers`.

    Raises:
        NotConvertible: a layer cannot be written in ONNX.
    """
    classifier = as_whole(network)
    given = CLASSIFIER if classifier.thresholds is None else LABELS

    def classify(images: tf.Tensor) -> dict[str, tf.Tensor]:
        found = answers(classifier, classifier(images), temperature)
        return {name: found[name] for name in given}

    inputs = [tf.TensorSpec(network.input_shape, tf.float32, "images")]
    _write(network, classify, inputs, given, path, class_names)


def write_explainer(
    network: keras.Model, path: Path, *, class_names: Sequence[str], temperature: float = 1.0
) -> None:
    """Writes the whole adversarial explanation as ONNX, its steps as a Loop.

    The inputs are those of the signature `explain`. So are the outputs, except that `target` is
    called `class_id` here. The metadata are those of `write_classifier`.

    Args:
        network: float32 images (B, H, W, C) in [0, 1] → logits (B, K).
        path: the file to write. An existing file is replaced.
        class_names: K names.
        temperature: as for `signatures.answers`.

    Raises:
        NotConvertible: the gradient of a layer cannot be written in ONNX.
    """
    signature = explainer(as_whole(network), temperature)

    def explain(*inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        found = signature(*inputs)
        return {("class_id" if name == "target" else name): part for name, part in found.items()}

    inputs = explain_inputs(network.input_shape)
    _write(network, explain, inputs, EXPLAINER, path, class_names)


def attach_card(path: Path, card: Mapping[str, Any]) -> None:
    """Adds a model card to a file's metadata, as JSON under `card`."""
    model = onnx.load(str(path))
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    onnx.helper.set_model_props(model, {**metadata, "card": json.dumps(card, allow_nan=False)})
    write_atomically(path, model.SerializeToString())


def _write(
    network: keras.Model,
    function: Callable[..., dict[str, tf.Tensor]],
    inputs: Sequence[tf.TensorSpec],
    outputs: Sequence[str],
    path: Path,
    class_names: Sequence[str],
) -> None:
    """Writes a function of a network."""
    model = convert(network, function, inputs)
    # tf2onnx sorts the outputs by name. Callers who take them by position expect our order.
    by_name = {output.name: output for output in model.graph.output}
    del model.graph.output[:]
    model.graph.output.extend(by_name[name] for name in outputs)
    images = {"name": "images", "dtype": "float32", "shape": network.input_shape, "range": [0, 1]}
    told = {"class_names": json.dumps(list(class_names)), "input": json.dumps(images)}
    if thresholds := as_whole(network).thresholds:
        told[THRESHOLDS] = json.dumps(thresholds)
    onnx.helper.set_model_props(model, told)
    write_atomically(path, model.SerializeToString())
