"""How a node of tf2onnx's graph is replaced by ONNX operations."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from onnx import TensorProto
from tf2onnx.graph import Graph, Node
from tf2onnx.utils import make_name

FLOAT = TensorProto.FLOAT
# Operations that change neither the numbers of a vector nor their order.
SAME_NUMBERS = ("Cast", "Identity", "Reshape", "Squeeze", "Unsqueeze")


UNKNOWN = "a shape is not known before it runs"


class NotConvertible(Exception):
    """A node cannot be written in ONNX. The message says why."""


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

    def reversed(self, tensor: str, axes: Sequence[int]) -> str:
        """Makes a tensor run backwards along some axes."""
        backwards, all_of_it = [-1] * len(axes), [-np.iinfo(np.int64).max] * len(axes)
        bounds = map(self.constant, (backwards, all_of_it, axes, backwards))
        return self.make("Slice", tensor, *bounds)

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
        return _known(_sizes(self.graph, self.inputs[index]))

    def shape_computed_by(self, index: int) -> list[int]:
        """The static shape that an input computes while it runs. The batch's size is −1."""
        return _known(_numbers(self.graph, self.node.inputs[index]))

    def values(self, index: int) -> list[int]:
        """The whole numbers that an input always has."""
        found = _numbers(self.graph, self.node.inputs[index])
        if found is None or None in found:
            raise NotConvertible(UNKNOWN)
        return [number for number in found if number is not None]


def _numbers(graph: Graph, node: Node) -> list[int | None] | None:
    """The whole numbers of a vector that is made of constants and shapes.

    Args:
        graph: the graph that the node is in.
        node: makes the vector.

    Returns:
        None for a number that is not known, as the batch's size is not; or None for all.
    """
    if node.is_const():
        return [int(number) for number in np.ravel(node.get_tensor_value(as_list=False))]
    if node.type == "Shape":
        return _sizes(graph, node.input[0])
    if node.type in SAME_NUMBERS:
        return _numbers(graph, node.inputs[0])
    if node.type not in ("Concat", "Gather", "Slice"):
        return None
    parts = [_numbers(graph, part) for part in node.inputs if part is not None]
    known = [part for part in parts if part is not None]
    if len(known) < len(parts):
        return None
    if node.type == "Concat":
        return [number for part in known for number in part]
    numbers, first, *rest = known
    if node.type == "Gather":
        return [numbers[place] for place in first if place is not None]
    step = rest[2][0] if len(rest) > 2 else 1
    return numbers[first[0] : rest[0][0] : step]


def _sizes(graph: Graph, name: str) -> list[int | None] | None:
    shape: list[int] | None = graph.get_shape(name)
    return None if shape is None else [size if size >= 0 else None for size in shape]


def _known(shape: Sequence[int | None] | None) -> list[int]:
    if shape is None or None in shape[1:]:
        raise NotConvertible(UNKNOWN)
    return [-1 if size is None else size for size in shape]
