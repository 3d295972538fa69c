"""How a node of tf2onnx's graph is replaced by ONNX operations."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from onnx import TensorProto
from tf2onnx.graph import Graph, Node
from tf2onnx.utils import make_name

FLOAT = TensorProto.FLOAT


class NotConvertible(Exception):
    """A gradient cannot be written in ONNX. The message says why."""


class Rewrite:
    """A node, and the operations that are made to replace it.

    Args:
        graph: the graph that the node is in.
        node: an operation of TensorFlow.
    """

    def __init__(self, graph: Graph, node: Node) -> None:
        self.graph, self.node, self.inputs = graph, node, list(node.input)
        self.outputs = list(zip(node.output, node.output_shapes, node.output_dtypes, strict=True))

    def constant(self, value: Any, dtype: Any = np.int64) -> str:
        """Makes a constant, and gives its name."""
        return str(self.graph.make_const(make_name("constant"), np.array(value, dtype)).output[0])

    def make(self, kind: str, *inputs: str, outputs: int = 1, **attributes: Any) -> str:
        """Makes an ONNX operation, and gives the name of its last output."""
        made = self.graph.make_node(kind, list(inputs), attr=attributes, output_count=outputs)
        return str(made.output[-1])

    def finish(self, *results: str) -> None:
        """Removes the node; the named results take the place of its outputs."""
        self.graph.remove_node(self.node.name)
        for (name, shape, dtype), result in zip(self.outputs, results, strict=True):
            # ONNX counts in int64 where TensorFlow mostly counts in int32.
            kind, attributes = ("Identity", {}) if dtype == FLOAT else ("Cast", {"to": dtype})
            self.graph.make_node(
                kind, [result], attributes, outputs=[name], shapes=[shape], dtypes=[dtype]
            )

    def shape(self, index: int) -> list[int]:
        """The static shape of an input. The batch's size is −1."""
        return _known(self.node, self.graph.get_shape(self.inputs[index]))

    def shape_computed_by(self, index: int) -> list[int]:
        """The static shape that an input computes while it runs. The batch's size is −1."""
        node = self.node.inputs[index]
        while node.type in ("Cast", "Identity"):
            node = node.inputs[0]
        if node.is_const():
            return [int(size) for size in np.ravel(node.get_tensor_value(as_list=False))]
        shape = self.graph.get_shape(node.input[0]) if node.type == "Shape" else None
        return _known(self.node, shape)


def _known(node: Node, shape: Sequence[int] | None) -> list[int]:
    if shape is None or any(size < 0 for size in shape[1:]):
        raise NotConvertible(
            f"{node.type} of a shape that is not known before it runs ({node.name})"
        )
    return list(shape)
