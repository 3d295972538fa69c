"""ONNX graphs read into PyTorch by onnx2torch, so that they have gradients."""

import importlib.util
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import tensorflow as tf

from tfrobust.core.classifier import Classifier
from tfrobust.core.door import as_classifier
from tfrobust.core.function_logits import FunctionLogits
from tfrobust.core.input_range import FREE_SIDE
from tfrobust.core.opaque import Opaque, judged
from tfrobust.core.outputs import Output, Thresholds
from tfrobust.core.torch_module import TorchFunction

# Nodes that leave values as they are, or only arrange them.
PASSING = ("Cast", "Flatten", "Identity", "Reshape", "Squeeze", "Unsqueeze")
# Two runtimes round differently: relative to the largest logit.
CLOSE = 1e-3
LEAST = -60.0  # below the largest logit; a softmax of less is as good as 0


def last_node(graph: Any, name: str) -> Any:
    """The node that computes an output of a graph, behind what only arranges it; None if none."""
    makers = {made: node for node in graph.node for made in node.output}
    while (node := makers.get(name)) is not None and node.op_type in PASSING:
        name = node.input[0]
    return node


def read(
    path: Path,
    name: str,
    opaque: Opaque,
    *,
    ending: Output | None,
    thresholds: Thresholds | None,
    single: bool,
    channels_first: bool,
    batch: int | None,
) -> Classifier | None:
    """The network of a file with gradients.

    A last softmax is taken off: behind a probability that is rounded to 1 the gradient is zero.

    Args:
        path: the file.
        name: of the output to take.
        opaque: the same network, asked by ONNX Runtime.
        ending: what the output is, as far as its last node says.
        thresholds: as for `Opaque`.
        single: whether it is one number for each image.
        channels_first: whether it takes images as (B, C, H, W).
        batch: the number of images that it takes at a time; None for any.

    Returns:
        None where PyTorch or onnx2torch is not installed, where the graph has operations that
        they lack, and where they give other answers than ONNX Runtime.
    """
    if not all(importlib.util.find_spec(one) for one in ("torch", "onnx2torch")):
        return None
    model = onnx.load(str(path))
    outputs = {one.name: one for one in model.graph.output}
    del model.graph.output[:]
    model.graph.output.append(outputs[name])
    # Several sigmoids stay, by which they are known not to be classes that exclude one another.
    if ending == "softmax" or (ending == "sigmoid" and single):
        node = last_node(model.graph, name)
        node.op_type, ending = "Identity", "logits"
        del node.attribute[:]
    try:
        module = _convert(model)
        function = TorchFunction(module, channels_first=channels_first, batch=batch)
        found = Classifier(
            FunctionLogits(function, path.name, judged).told(
                None, ending, "all" if thresholds else None, thresholds
            ),
            name=path.name,
            input_shape=opaque.input_shape,
            num_classes=opaque.num_classes,
        )
        # Several sigmoids can only be asked about one at a time.
        label = 0 if ending == "sigmoid" or thresholds else None
        asked = [as_classifier(one, label=label) for one in (found, opaque)]
        with warnings.catch_warnings():  # of PyTorch's plans, which are for onnx2torch to follow
            warnings.simplefilter("ignore")
            return found if _agree(*asked) else None
    except Exception:  # what PyTorch lacks it may say in any way
        return None


def _convert(model: Any) -> Any:
    """An ONNX model as a PyTorch module."""
    # onnx2torch imports torchvision, which imports Triton where it is installed. Beside TensorFlow
    # 2.21 that ends the process: both bring an LLVM. Without Triton, PyTorch does without it.
    hidden = "triton" not in sys.modules
    if hidden:
        sys.modules["triton"] = None  # type: ignore[assignment]
    try:
        import onnx2torch

        return onnx2torch.convert(model)
    finally:
        if hidden:
            del sys.modules["triton"]


def _agree(one: Classifier, other: Classifier) -> bool:
    """Whether two networks give the same shares, and the first one has a gradient."""
    sizes = [size or FREE_SIDE for size in (one.input_shape or (None,) * 4)[1:]]
    images = tf.constant(np.random.default_rng(0).random((3, *sizes), np.float32))
    with tf.GradientTape() as tape:
        tape.watch(images)
        logits = one(images)
    slope = tape.gradient(logits, images)
    # Of a softmax no more than differences of logits can be had back, and no large ones.
    here, there = (
        np.maximum(values - values.max(axis=1, keepdims=True), LEAST)
        for values in (logits.numpy(), other(images).numpy())
    )
    close = np.abs(here - there).max() <= CLOSE * max(1.0, float(np.abs(there).max()))
    return bool(close and slope is not None and np.isfinite(slope).all())
