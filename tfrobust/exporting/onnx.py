"""The classifier and the explainer as ONNX files, for runtimes without TensorFlow."""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import onnx
import tensorflow as tf
import tf2onnx

from tfrobust.errors import InputError
from tfrobust.exporting.onnx_gradients import HANDLERS
from tfrobust.exporting.signatures import explain_inputs, explainer

OPSET = 17
CLASSIFIER = ("logits", "probabilities", "class_id")
# As the signature's, but that ONNX has one name for one value: `target` is what goes in.
EXPLAINER = (
    "explanation",
    "difference",
    "class_id",
    "confidence_before",
    "confidence_after",
    "rmse",
    "gradient",
)


def write_classifier(network: keras.Model, path: Path, *, class_names: Sequence[str]) -> None:
    """Writes a network as ONNX: images → logits, probabilities, class_id.

    The file's metadata hold the classes (`class_names`, a JSON list) and what the input must
    be (`input`, JSON). The file appears whole or not at all.

    Args:
        network: float32 images (B, H, W, C) in [0, 1] → logits (B, K).
        path: the file; one that is there is replaced.
        class_names: K names.

    Raises:
        InputError: a layer that cannot be written in ONNX.
    """

    def classify(images: tf.Tensor) -> dict[str, tf.Tensor]:
        logits = network(images, training=False)
        return {
            "logits": logits,
            "probabilities": tf.nn.softmax(logits),
            "class_id": tf.argmax(logits, axis=-1, output_type=tf.int32),
        }

    inputs = [tf.TensorSpec(network.input_shape, tf.float32, "images")]
    _write(network, classify, inputs, CLASSIFIER, path, class_names)


def write_explainer(network: keras.Model, path: Path, *, class_names: Sequence[str]) -> None:
    """Writes the whole adversarial explanation as ONNX: its steps are a Loop.

    Inputs are those of the signature `explain`, outputs as well but for `target`, which is
    `class_id` here. Metadata as for `write_classifier`.

    Args:
        network: float32 images (B, H, W, C) in [0, 1] → logits (B, K).
        path: the file; one that is there is replaced.
        class_names: K names.

    Raises:
        InputError: a layer whose gradient cannot be written in ONNX.
    """
    signature = explainer(lambda images: network(images, training=False))

    def explain(*inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        found = signature(*inputs)
        return {("class_id" if name == "target" else name): part for name, part in found.items()}

    inputs = explain_inputs(network.input_shape)
    _write(network, explain, inputs, EXPLAINER, path, class_names)


def attach_card(path: Path, card: Mapping[str, Any]) -> None:
    """Puts a model card into a file's metadata, as JSON under `card`."""
    model = onnx.load(str(path))
    told = {entry.key: entry.value for entry in model.metadata_props}
    onnx.helper.set_model_props(model, {**told, "card": json.dumps(card, allow_nan=False)})
    _replace(model, path)


def _write(
    network: keras.Model,
    function: Callable[..., dict[str, tf.Tensor]],
    inputs: Sequence[tf.TensorSpec],
    outputs: Sequence[str],
    path: Path,
    class_names: Sequence[str],
) -> None:
    """Writes a function of a network; each of the network's weights stands in the file once.

    As constants, tf2onnx would fold them into others, transposed for the way back and scaled for
    the way there. So they are converted as inputs, and become constants when that is done; what
    is to be folded, runtimes fold when they load the file.
    """
    variables = {f"weight_{place}": variable for place, variable in enumerate(network.variables)}
    weights = [tf.TensorSpec(each.shape, each.dtype, name) for name, each in variables.items()]

    def of_weights(*values: tf.Tensor) -> dict[str, tf.Tensor]:
        given, learnt = values[: len(inputs)], values[len(inputs) :]
        with keras.StatelessScope(state_mapping=list(zip(variables.values(), learnt, strict=True))):
            return function(*given)

    signature = [*inputs, *weights]
    before = os.environ.get("TF2ONNX_CATCH_ERRORS")
    # Else tf2onnx copies the whole graph, weights included, before each of its passes.
    os.environ["TF2ONNX_CATCH_ERRORS"] = "FALSE"
    try:
        # Compiled by tf2onnx and judged by ONNX's checker: what a layer lacks, either may tell.
        model, _ = tf2onnx.convert.from_function(
            tf.function(of_weights, input_signature=signature, autograph=False),
            input_signature=signature,
            opset=OPSET,
            custom_op_handlers=dict(HANDLERS),
        )
        _keep_constant(model, {name: each.numpy() for name, each in variables.items()})
        onnx.checker.check_model(model, full_check=True)
    except Exception as error:  # of any kind, by the layer
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise InputError(
            f"expected a network that ONNX can hold, but {path.name} cannot be written: {reason}. "
            "Replace the layer"
            + (", or export with explainer=False" if path.name != "classifier.onnx" else "")
        ) from error
    finally:
        if before is None:
            del os.environ["TF2ONNX_CATCH_ERRORS"]
        else:
            os.environ["TF2ONNX_CATCH_ERRORS"] = before
    # tf2onnx sorts the outputs by name; callers who take them by place get the first ones first.
    by_name = {output.name: output for output in model.graph.output}
    del model.graph.output[:]
    model.graph.output.extend(by_name[name] for name in outputs)
    told = {"name": "images", "dtype": "float32", "shape": network.input_shape, "range": [0, 1]}
    onnx.helper.set_model_props(
        model, {"class_names": json.dumps(list(class_names)), "input": json.dumps(told)}
    )
    _replace(model, path)


def _keep_constant(model: onnx.ModelProto, values: Mapping[str, np.ndarray]) -> None:
    """Makes constants of those inputs that have a value."""
    inputs = list(model.graph.input)
    del model.graph.input[:]
    for each in inputs:
        if each.name in values:
            constant = onnx.numpy_helper.from_array(values[each.name], each.name)
            model.graph.initializer.append(constant)
        else:
            model.graph.input.append(each)


def _replace(model: onnx.ModelProto, path: Path) -> None:
    """Writes the file beside its place, then renames it."""
    unfinished = path.with_name(path.name + ".tmp")
    try:
        unfinished.write_bytes(model.SerializeToString())
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)
