"""The forms in which a version folder holds a network, each as functions of NumPy arrays."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import onnxruntime
import tensorflow as tf

from tfrobust.exporting.loading import KERAS_FILE, load_model

ONNX_FILE = "classifier.onnx"
SIGNATURES = ("serving_default", "explain")

# Named arrays in, named arrays out.
Signature = Callable[[dict[str, np.ndarray]], dict[str, np.ndarray]]


def keras_file(folder: Path) -> Signature:
    """network.keras, read back: images → logits.

    Raises:
        InputError: it cannot be read.
    """
    model = load_model(folder / KERAS_FILE)
    return lambda inputs: {"logits": np.asarray(model(inputs["images"], training=False))}


def saved_model(folder: Path) -> dict[str, Signature]:
    """The SavedModel's signatures, as tf.saved_model.load gives them."""
    loaded = tf.saved_model.load(str(folder))

    def runner(name: str) -> Signature:
        def run(inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
            # The closure keeps `loaded` alive, and it the variables.
            outputs = loaded.signatures[name](
                **{key: tf.constant(value) for key, value in inputs.items()}
            )
            return {key: value.numpy() for key, value in outputs.items()}

        return run

    return {name: runner(name) for name in SIGNATURES}


@contextlib.contextmanager
def session(folder: Path) -> Iterator[dict[str, Signature]]:
    """The SavedModel's signatures in a Session, by the C++ path that TF Serving takes."""
    graph = tf.Graph()
    with contextlib.closing(tf.compat.v1.Session(graph=graph)) as running:
        with graph.as_default(), _without_warnings():
            meta = tf.compat.v1.saved_model.loader.load(running, ["serve"], str(folder))

        def runner(name: str) -> Signature:
            signature = meta.signature_def[name]
            fetched = {key: info.name for key, info in signature.outputs.items()}
            return lambda inputs: running.run(
                fetched, {signature.inputs[key].name: value for key, value in inputs.items()}
            )

        yield {name: runner(name) for name in SIGNATURES}


def onnx_file(folder: Path) -> Signature:
    """classifier.onnx in onnxruntime: images → logits, probabilities, class_id."""
    running = onnxruntime.InferenceSession(
        str(folder / ONNX_FILE), providers=["CPUExecutionProvider"]
    )
    names = [output.name for output in running.get_outputs()]
    return lambda inputs: dict(zip(names, running.run(names, inputs), strict=True))


@contextlib.contextmanager
def _without_warnings() -> Iterator[None]:
    """Silences TensorFlow's Python log: the v1 loader is called deprecated, yet is what we want."""
    log = tf.get_logger()
    before = log.level
    log.setLevel("ERROR")
    try:
        yield
    finally:
        log.setLevel(before)
