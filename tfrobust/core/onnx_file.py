"""ONNX files of any origin, asked by ONNX Runtime, or by PyTorch, which gives gradients."""

import json
from pathlib import Path

import numpy as np
import onnx

from tfrobust.core import onnx_torch
from tfrobust.core.classifier import Classifier
from tfrobust.core.input_range import BYTES
from tfrobust.core.keras_inputs import channels_first
from tfrobust.core.opaque import Opaque
from tfrobust.core.outputs import Output, Thresholds, checked_thresholds
from tfrobust.errors import InputError

TYPES = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(double)": np.float64,
    "tensor(uint8)": np.uint8,
}
THRESHOLDS = "thresholds"  # the name in a file's metadata
ENDINGS: dict[str, Output] = {
    "Add": "logits",
    "Gemm": "logits",
    "LogSoftmax": "logits",
    "MatMul": "logits",
    "Sigmoid": "sigmoid",
    "Softmax": "softmax",
}


def read(path: Path) -> Classifier:
    """Reads an ONNX classifier, to be asked on the CPU.

    It has a gradient where PyTorch and onnx2torch are installed, which read its graph, and give
    the answers that ONNX Runtime gives. Else it is `Opaque`.

    It takes images, channels last (None, H, W, C) or first (None, C, H, W), in batches of any
    number or of a fixed one. Of its outputs "logits" is taken, or the only one of two dimensions.

    Args:
        path: the file.

    Raises:
        InputError: it cannot be read, or its input and outputs are others.
    """
    import onnxruntime

    try:
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        graph = onnx.load(str(path), load_external_data=False).graph
    # What a damaged file raises is the runtime's own.
    except Exception as error:
        raise InputError(f"expected an ONNX file; {path} cannot be read: {error}") from None
    inputs, outputs = session.get_inputs(), session.get_outputs()
    given = [one for one in outputs if len(one.shape) == 2 and one.type in TYPES]
    given = [one for one in given if one.name == "logits"] or given
    if len(inputs) != 1 or inputs[0].type not in TYPES or len(inputs[0].shape) != 4 or not given:
        raise InputError(
            "expected an ONNX file with one input, images (batch, height, width, channels) or "
            "(batch, channels, height, width), and an output of numbers (batch, classes); "
            f"{path} takes {[(one.type, one.shape) for one in inputs]} and gives "
            f"{[(one.name, one.type, one.shape) for one in outputs]}"
        )
    if len(given) > 1:
        raise InputError(
            f"expected one output (batch, classes), or one of the name logits; {path} gives "
            f"{[one.name for one in given]}"
        )
    # What is free has a name, or none.
    batch, *sizes = (size if isinstance(size, int) else None for size in inputs[0].shape)
    first = channels_first(sizes)
    kind, taken, output = TYPES[inputs[0].type], inputs[0].name, given[0]

    def ask(images: np.ndarray) -> np.ndarray:
        images = images.transpose(0, 3, 1, 2) if first else images
        images = (np.rint(images) if kind is np.uint8 else images).astype(kind)
        return session.run([output.name], {taken: np.ascontiguousarray(images)})[0]

    def answer(images: np.ndarray) -> np.ndarray:
        if batch is None:
            return ask(images)
        filled = images[np.arange(-(-len(images) // batch) * batch) % len(images)]
        parts = [ask(filled[start : start + batch]) for start in range(0, len(filled), batch)]
        return np.concatenate(parts)[: len(images)]

    count = output.shape[1]
    thresholds = _thresholds(session.get_modelmeta().custom_metadata_map, path)
    last = onnx_torch.last_node(graph, output.name)
    ending = None if last is None else ENDINGS.get(last.op_type)
    opaque = Opaque(
        answer,
        input_shape=(None, *sizes[1:], sizes[0]) if first else (None, *sizes),
        num_classes=count if isinstance(count, int) else None,
        name=path.name,
        input_range=BYTES if kind is np.uint8 else None,
        output=ending,
        thresholds=thresholds,
    )
    if kind is np.uint8:
        return opaque
    found = onnx_torch.read(
        path,
        output.name,
        opaque,
        ending=ending,
        thresholds=thresholds,
        single=count == 1,
        channels_first=first,
        batch=batch,
    )
    return found or opaque


def _thresholds(told: dict[str, str], path: Path) -> Thresholds | None:
    """The thresholds of labels that `export` wrote into a file's metadata; None if it did not."""
    if THRESHOLDS not in told:
        return None
    try:
        return checked_thresholds(json.loads(told[THRESHOLDS]), None)
    except (ValueError, TypeError) as error:
        raise InputError(f"expected thresholds as a list in {path}, but: {error}") from None
