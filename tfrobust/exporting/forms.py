"""The forms in which a version folder holds a network, each as a function of NumPy arrays."""

import contextlib
import io
import tempfile
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import keras
import numpy as np
import onnxruntime
import tensorflow as tf

from tfrobust.core.door import as_whole
from tfrobust.core.loading import KERAS_FILE

ONNX_FILE, EXPLAINER_FILE = "classifier.onnx", "explainer.onnx"
# The forms that may be left out, and their files. The SavedModel is always there.
FILES = {"keras": KERAS_FILE, "classifier": ONNX_FILE, "explainer": EXPLAINER_FILE}

NAMES = ("class_name", "label_names")  # outputs of strings

# Takes named arrays and gives named arrays.
Outputs = dict[str, np.ndarray]
Signature = Callable[[dict[str, np.ndarray]], Outputs]
# The name of the form at fault, and a sentence.
Faults = list[tuple[str, str]]


def ask(signatures: Mapping[str, Signature], inputs: dict[str, np.ndarray]) -> dict[str, Outputs]:
    """Asks several forms the same.

    They compute side by side, as TensorFlow and onnxruntime leave the interpreter meanwhile: much
    of a first call is preparation, which keeps one core busy.
    """
    with ThreadPoolExecutor() as pool:
        answers = pool.map(lambda signature: signature(inputs), signatures.values())
        return dict(zip(signatures, answers, strict=True))


def keras_file(folder: Path) -> Signature:
    """Reads network.keras back: images → logits.

    Raises:
        Exception: the file cannot be read; Keras raises anything at all.
    """
    network = keras.saving.load_model(folder / KERAS_FILE, compile=False, safe_mode=True)
    classifier = as_whole(network)
    return lambda inputs: {"logits": np.asarray(classifier(inputs["images"]))}


def saved_model(folder: Path) -> dict[str, Signature]:
    """The SavedModel's signatures, as tf.saved_model.load gives them."""
    loaded = tf.saved_model.load(str(folder))

    def runner(name: str) -> Signature:
        def run(inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
            # The closure keeps `loaded` alive, which keeps the variables alive.
            outputs = loaded.signatures[name](
                **{key: tf.constant(value) for key, value in inputs.items()}
            )
            return {key: value.numpy() for key, value in outputs.items()}

        return run

    return {name: runner(name) for name in loaded.signatures}


def command_line(folder: Path, signature: str) -> Signature:
    """A signature by TensorFlow's own program `saved_model_cli run`, called in this process."""
    from tensorflow.python.tools import saved_model_cli

    def run(inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        with tempfile.TemporaryDirectory() as outputs:
            with contextlib.redirect_stdout(io.StringIO()), _without_warnings():
                saved_model_cli.run_saved_model_with_feed_dict(
                    str(folder), "serve", signature, inputs, outputs, overwrite_flag=False
                )
            return {
                # Names of classes are Python objects, which NumPy saves as pickles.
                path.stem: np.load(path, allow_pickle=path.stem in NAMES)
                for path in Path(outputs).glob("*.npy")
            }

    return run


@contextlib.contextmanager
def session(folder: Path) -> Iterator[dict[str, Signature]]:
    """The SavedModel's signatures in a Session, which is the C++ path that TF Serving takes."""
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

        # A signature for the loader itself, which answers nothing, begins with underscores.
        names = [name for name in meta.signature_def if not name.startswith("__")]
        yield {name: runner(name) for name in names}


def onnx_file(path: Path) -> Signature:
    """An ONNX file in onnxruntime.

    The explainer's output `class_id` gets the name `target` that the signature gives it.
    """
    running = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    outputs = [output.name for output in running.get_outputs()]
    is_explainer = "rmse" in outputs
    names = ["target" if is_explainer and name == "class_id" else name for name in outputs]
    return lambda inputs: dict(zip(names, running.run(outputs, inputs), strict=True))


@contextlib.contextmanager
def _without_warnings() -> Iterator[None]:
    """Silences TensorFlow's Python log, which calls the v1 loader deprecated. We need it."""
    log = tf.get_logger()
    before = log.level
    log.setLevel("ERROR")
    try:
        yield
    finally:
        log.setLevel(before)
