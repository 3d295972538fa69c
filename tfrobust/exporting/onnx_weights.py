"""A network's weights in an ONNX graph: each once, as a constant."""

import collections
from collections.abc import Mapping

import numpy as np
import onnx
from onnx import numpy_helper
from onnx.reference import ReferenceEvaluator

from tfrobust.exporting.onnx_loops import all_nodes

# What changes no number of a constant.
ARRANGING = ("Reshape", "Squeeze", "Transpose", "Unsqueeze")


def keep_constant(graph: onnx.GraphProto, values: Mapping[str, np.ndarray]) -> None:
    """Turns inputs of a graph into constants, where a node reads them.

    Args:
        graph: is changed.
        values: by the names of the inputs. Those that no node reads are left out.
    """
    inputs = list(graph.input)
    read = {name for node in all_nodes(graph) for name in node.input}
    del graph.input[:]
    for each in inputs:
        if each.name not in values:
            graph.input.append(each)
        elif each.name in read:  # unlike the state of a Dropout's random numbers
            graph.initializer.append(numpy_helper.from_array(values[each.name], each.name))


def arrange_constants(graph: onnx.GraphProto) -> None:
    """Lays weights out as ONNX reads them, where nothing reads them as TensorFlow lays them out.

    Runtimes do so when they load a file, but onnx2torch takes only weights that are constants.

    Args:
        graph: is changed.
    """
    readers = collections.Counter(name for node in all_nodes(graph) for name in node.input)
    readers.update(output.name for output in graph.output)
    constants = {each.name: each for each in graph.initializer}
    for node in list(graph.node):
        if node.op_type not in ARRANGING or not constants.keys() >= {*node.input}:
            continue
        if readers[node.input[0]] == 1:
            values = {name: numpy_helper.to_array(constants[name]) for name in node.input}
            (arranged,) = ReferenceEvaluator(node).run(None, values)
            constant = constants[node.output[0]] = constants.pop(node.input[0])
            constant.CopyFrom(numpy_helper.from_array(np.asarray(arranged), node.output[0]))
            graph.node.remove(node)
            readers.subtract(node.input)
    for unread in [each for each in graph.initializer if not readers[each.name]]:
        graph.initializer.remove(unread)
