"""What an ONNX loop needs from around it: read where it is, not handed from round to round."""

import collections
from collections.abc import Iterator

import onnx


def read_from_around(graph: onnx.GraphProto) -> None:
    """Takes what a loop hands on unchanged out of the values that it hands on.

    A while_loop of TensorFlow hands on all that its body reads, the network's weights too. A body
    of ONNX may read what is around it. So a runtime knows that the weights are constants, and
    prepares them once. OpenVINO refuses bodies that give an input back as it came.

    Args:
        graph: is changed. The loops within its loops are as well.
    """
    read = {name for node in all_nodes(graph) for name in node.input}
    read |= {output.name for output in graph.output}
    for node in graph.node:
        for body in bodies(node):
            if node.op_type == "Loop":
                _read_from_around(node, body, read)
            read_from_around(body)


def all_nodes(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    """The nodes of a graph and of all graphs within."""
    for node in graph.node:
        yield node
        for body in bodies(node):
            yield from all_nodes(body)


def bodies(node: onnx.NodeProto) -> Iterator[onnx.GraphProto]:
    """The graphs that a node holds."""
    for attribute in node.attribute:
        if attribute.type == onnx.AttributeProto.GRAPH:
            yield attribute.g


def _read_from_around(loop: onnx.NodeProto, body: onnx.GraphProto, read: set[str]) -> None:
    """Changes one loop. What it hands on begins behind its two inputs for counting."""
    outside = dict(zip((each.name for each in body.input), loop.input, strict=True))
    given_back = collections.Counter(output.name for output in body.output)
    unchanged = [
        place
        for place, (given, kept) in enumerate(zip(body.input[2:], body.output[1:], strict=False))
        if given.name == kept.name
        and given_back[given.name] == 1  # what another output gives as well must stay an input
        and loop.output[place] not in read
    ]
    _rename(body, {name: outside[name] for name in (body.input[2 + at].name for at in unchanged)})
    for place in reversed(unchanged):
        del body.input[2 + place], body.output[1 + place]
        del loop.input[2 + place], loop.output[place]


def _rename(graph: onnx.GraphProto, names: dict[str, str]) -> None:
    """Changes what nodes read, also those in graphs within. ONNX hides no name by another."""
    for node in graph.node:
        for place, name in enumerate(node.input):
            node.input[place] = names.get(name, name)
        for body in bodies(node):
            _rename(body, names)
