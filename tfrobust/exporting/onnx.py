"""The classifier as an ONNX file, for runtimes without TensorFlow."""

import json
import os
from collections.abc import Sequence
from pathlib import Path

import keras
import onnx
import tensorflow as tf
import tf2onnx

OPSET = 17
OUTPUTS = ("logits", "probabilities", "class_id")


def write(network: keras.Model, path: Path, *, class_names: Sequence[str]) -> None:
    """Writes a network as ONNX: images → logits, probabilities, class_id.

    The file's metadata hold the classes (`class_names`, a JSON list) and what the input must
    be (`input`, JSON). The file appears whole or not at all.

    Args:
        network: float32 images (B, H, W, C) in [0, 1] → logits (B, K).
        path: the file; one that is there is replaced.
        class_names: K names.
    """
    shape = tuple(network.input_shape)

    def classify(images: tf.Tensor) -> dict[str, tf.Tensor]:
        logits = network(images, training=False)
        return {
            "logits": logits,
            "probabilities": tf.nn.softmax(logits),
            "class_id": tf.argmax(logits, axis=-1, output_type=tf.int32),
        }

    signature = [tf.TensorSpec(shape, tf.float32, "images")]
    model, _ = tf2onnx.convert.from_function(
        tf.function(classify, input_signature=signature, autograph=False),
        input_signature=signature,
        opset=OPSET,
    )
    # tf2onnx sorts the outputs by name; callers who take them by place get the logits first.
    outputs = {output.name: output for output in model.graph.output}
    del model.graph.output[:]
    model.graph.output.extend(outputs[name] for name in OUTPUTS)
    onnx.helper.set_model_props(
        model,
        {
            "class_names": json.dumps(list(class_names)),
            "input": json.dumps(
                {"name": "images", "dtype": "float32", "shape": shape, "range": [0, 1]}
            ),
        },
    )
    onnx.checker.check_model(model, full_check=True)
    unfinished = path.with_name(path.name + ".tmp")
    try:
        unfinished.write_bytes(model.SerializeToString())
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)
