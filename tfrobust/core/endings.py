"""The operation that a TensorFlow function ends with, read from its graph."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

# Operations that leave values as they are, or only arrange them.
PASSING = ("Cast", "EnsureShape", "ExpandDims", "Identity", "Reshape", "Squeeze", "StopGradient")
CALLS = ("PartitionedCall", "StatefulPartitionedCall")
# By Keras' names of activations.
ENDINGS = {
    "Add": "linear",
    "AddV2": "linear",
    "BiasAdd": "linear",
    "Conv2D": "linear",
    "LogSoftmax": "log_softmax",
    "MatMul": "linear",
    "Sigmoid": "sigmoid",
    "Softmax": "softmax",
}


def ending(function: Callable[[tf.Tensor], Any], shape: tuple[int | None, ...]) -> str | None:
    """The name of the activation that a function's outputs come from, as Keras names it.

    Args:
        function: float32 images → (B, K).
        shape: of the images, (B, H, W, C).

    Returns:
        "linear" where no activation follows the last weights; None where it cannot be told.
    """
    try:
        traced = tf.function(function).get_concrete_function(tf.TensorSpec(shape, tf.float32))
        (output,) = tf.nest.flatten(traced.outputs)
    except Exception:  # a stranger's function may not be made for graphs
        return None
    definition = traced.graph.as_graph_def()
    functions = {one.signature.name: one for one in definition.library.function}
    nodes = {node.name: node for node in definition.node}
    name, number = _place(output.name)
    while (node := nodes.get(name)) is not None:
        if node.op in CALLS:
            called = functions[node.attr["f"].func.name]
            nodes = {inner.name: inner for inner in called.node_def}
            name, number = _place(called.ret[called.signature.output_arg[number].name])
        elif node.op in PASSING:
            name, number = _place(node.input[0])
        else:
            return ENDINGS.get(node.op)
    return None


def _place(tensor: str) -> tuple[str, int]:
    """Of "node", "node:1", or "node:output:1" in a function: the node, and which output of it."""
    name, *number = tensor.split(":")
    return name, int(number[-1]) if number else 0
