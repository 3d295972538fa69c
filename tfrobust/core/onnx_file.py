"""ONNX files of any origin, asked by ONNX Runtime."""

from pathlib import Path
from typing import Any

import numpy as np

from tfrobust.core.opaque import Opaque
from tfrobust.errors import InputError

CHANNELS = (1, 3)


def read(path: Path) -> Opaque:
    """Reads an ONNX classifier, to be asked on the CPU.

    Its input is images in [0, 1], channels last (None, H, W, C) or first (None, C, H, W). Of its
    outputs "logits" is taken, or the only one of two dimensions: logits or probabilities.

    Args:
        path: the file.

    Raises:
        InputError: it cannot be read, or its input and outputs are others.
    """
    import onnxruntime

    try:
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    # What a damaged file raises is the runtime's own.
    except Exception as error:
        raise InputError(f"expected an ONNX file; {path} cannot be read: {error}") from None
    inputs = session.get_inputs()
    outputs = [output for output in session.get_outputs() if len(output.shape) == 2]
    outputs = [output for output in outputs if output.name == "logits"] or outputs
    taken = [tuple(one.shape) for one in inputs]
    types = [one.type for one in (*inputs, *outputs)]
    if (
        len(taken) != 1
        or types != ["tensor(float)"] * 2
        or not _is_images(taken[0], outputs[0].shape)
    ):
        raise InputError(
            "expected an ONNX file with one float32 input, images (None, height, width, channels) "
            "of one size in batches of any number, and a float32 output logits (None, classes); "
            f"{path} takes {[(one.type, one.shape) for one in inputs]} and gives "
            f"{[(one.name, one.type, one.shape) for one in session.get_outputs()]}; export it with "
            "a dynamic batch (torch.onnx.export: dynamic_axes)"
        )
    ((_, *sizes),) = taken
    first = sizes[0] in CHANNELS and sizes[2] not in CHANNELS
    sizes = [*sizes[1:], sizes[0]] if first else sizes
    name, output = inputs[0].name, outputs[0].name

    def answer(images: np.ndarray) -> np.ndarray:
        images = np.ascontiguousarray(images.transpose(0, 3, 1, 2)) if first else images
        return session.run([output], {name: images})[0]

    return Opaque(
        answer,
        input_shape=(None, *sizes),
        num_classes=outputs[0].shape[1],
        name=path.name,
    )


def _is_images(taken: tuple[Any, ...], given: list[Any]) -> bool:
    return (
        len(taken) == 4
        and not isinstance(taken[0], int)
        and all(isinstance(size, int) for size in taken[1:])
        and isinstance(given[1], int)
    )
