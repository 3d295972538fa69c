"""Converts a function of a network into an ONNX graph, by tf2onnx and by handlers of our own."""

import collections
import contextlib
import logging
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import onnx
import tensorflow as tf
import tf2onnx
from tf2onnx import optimizer, tf_loader, tfonnx
from tf2onnx.convert import tensor_names_from_structed

from tfrobust.errors import reason_of
from tfrobust.exporting import (
    onnx_elementwise,
    onnx_loops,
    onnx_shapes,
    onnx_weights,
    onnx_window_gradients,
)
from tfrobust.exporting.onnx_nodes import NotConvertible, Rewrite

OPSET = 17
# tf2onnx's optimizer takes time that grows with the square of the graph: a minute and a half for
# the 10,000 nodes of an explanation by EfficientNetB0. What it tidies up, onnxruntime also tidies
# up when it loads the file, and runs as fast. So larger graphs are left to the runtimes.
MOST_NODES = 3000
REPLACEMENTS = {
    **onnx_elementwise.HANDLERS,
    **onnx_shapes.HANDLERS,
    **onnx_window_gradients.HANDLERS,
}


def convert(
    network: keras.Model,
    function: Callable[..., dict[str, tf.Tensor]],
    inputs: Sequence[tf.TensorSpec],
) -> onnx.ModelProto:
    """Converts a function, with each of the network's weights once.

    tf2onnx folds constants into others: a weight would stand in the graph scaled for the forward
    pass and transposed for the backward pass. So weights are converted as inputs, and become
    constants afterwards. Runtimes fold them when they load the file.

    Args:
        network: the network that the function asks.
        function: tensors → named tensors.
        inputs: what the function takes.

    Returns:
        A model that ONNX's own checker finds sound.

    Raises:
        NotConvertible: it names the layer, and says why it has no form in ONNX.
    """
    variables = {f"weight_{place}": variable for place, variable in enumerate(network.variables)}
    weights = [tf.TensorSpec(each.shape, each.dtype, name) for name, each in variables.items()]

    def of_weights(*values: tf.Tensor) -> dict[str, tf.Tensor]:
        given, learnt = values[: len(inputs)], values[len(inputs) :]
        with keras.StatelessScope(state_mapping=list(zip(variables.values(), learnt, strict=True))):
            return function(*given)

    signature = [*inputs, *weights]
    traced = tf.function(of_weights, input_signature=signature, autograph=False)
    faults: dict[str, str] = {}
    try:
        with _static_shapes():
            concrete = traced.get_concrete_function()
        model = _by_tf2onnx(concrete, faults)
        onnx_loops.read_from_around(model.graph)
        constants = {name: variable.numpy() for name, variable in variables.items()}
        # A layer may hold numbers that are no weights of it, as Normalization holds its mean.
        for value, name in concrete.graph.captures:
            if value.dtype != tf.resource:
                constants[name.name] = value.numpy()
        onnx_weights.keep_constant(model.graph, constants)
        onnx_weights.arrange_constants(model.graph)
        _refuse_unknown(model.graph, network, faults)
        onnx.checker.check_model(model, full_check=True)
    except NotConvertible:
        raise
    except Exception as error:  # tf2onnx and ONNX's checker raise many kinds.
        raise NotConvertible(reason_of(error)) from error
    return model


@contextlib.contextmanager
def _static_shapes() -> Iterator[None]:
    """Within it, what is traced is one graph without functions, which knows its shapes."""
    # A function within the function, which Keras compiles for grouped convolutions, would stay one.
    eager = tf.config.functions_run_eagerly()
    tf.config.run_functions_eagerly(True)
    tensordot = tf.tensordot

    def with_static_shape(*arguments: Any, **named: Any) -> tf.Tensor:
        """The graph forgets the shape that TensorFlow's tensordot knows, as Dense calls it."""
        product = tensordot(*arguments, **named)
        sizes = product.shape[1:]
        return tf.reshape(product, [-1, *sizes]) if sizes.is_fully_defined() else product

    tf.tensordot = with_static_shape
    try:
        yield
    finally:
        tf.tensordot = tensordot
        tf.config.run_functions_eagerly(eager)


def _by_tf2onnx(concrete: Any, faults: dict[str, str]) -> onnx.ModelProto:
    """Converts a concrete function, whose inputs stay inputs.

    Args:
        concrete: the function.
        faults: it is told the reason of each node that our handlers could not replace, by the
            node's name. Such a node stays in the graph.
    """
    inputs = [tensor.name for tensor in concrete.inputs if tensor.dtype != tf.resource]
    outputs = [tensor.name for tensor in concrete.outputs]
    # tf2onnx logs a traceback for each node that it cannot convert. We tell them ourselves.
    log = logging.getLogger(tf2onnx.__name__)
    level = log.level
    log.setLevel(logging.CRITICAL + 1)
    try:
        with tf.device("/cpu:0"):
            frozen = tf_loader.from_function(concrete, inputs, outputs)
            with tf.Graph().as_default() as graph:
                tf.import_graph_def(frozen, name="")
                converted = tfonnx.process_tf_graph(
                    graph,
                    continue_on_error=True,
                    opset=OPSET,
                    custom_op_handlers={
                        name: (_handler(replace, faults), [])
                        for name, replace in REPLACEMENTS.items()
                    },
                    input_names=inputs,
                    output_names=outputs,
                    tensors_to_rename=tensor_names_from_structed(concrete, inputs, outputs),
                )
                if _size(converted) <= MOST_NODES:
                    # With its default, it copies the whole graph before each of its passes.
                    converted = optimizer.optimize_graph(converted, catch_errors=False)
                return converted.make_model(f"converted from {concrete.name}")
    finally:
        log.setLevel(level)


def _size(graph: Any) -> int:
    """How many nodes a graph of tf2onnx has, those of its loops included."""
    nodes = graph.get_nodes()
    bodies = [body for node in nodes for body in (node.get_body_graphs() or {}).values()]
    return len(nodes) + sum(map(_size, bodies))


def _handler(replace: Callable[[Rewrite], None], faults: dict[str, str]) -> Callable[..., None]:
    """What tf2onnx calls for a node. Why a node cannot be replaced is noted by the node's name."""

    def handle(graph: Any, node: Any, name: str, arguments: Any) -> None:
        try:
            replace(Rewrite(graph, node))
        except Exception as fault:  # the graph may have anything in store
            faults[name] = reason_of(fault)
            raise

    return handle


def _refuse_unknown(graph: onnx.GraphProto, network: keras.Model, faults: dict[str, str]) -> None:
    """Refuses operations that stayed TensorFlow's, with the layers that they come from.

    Raises:
        NotConvertible: there are such operations.
    """
    found: dict[str, list[str]] = collections.defaultdict(list)
    for node in onnx_loops.all_nodes(graph):
        if not node.domain and not onnx.defs.has(node.op_type):
            fault = faults.get(node.name)
            told = f"{node.op_type} ({fault})" if fault else node.op_type
            layer = _layer(node.name, network)
            if told not in found[layer]:
                found[layer].append(told)
    if found:
        told = "; ".join(f"{layer}: {', '.join(kinds)}" for layer, kinds in found.items())
        raise NotConvertible(f"ONNX has no form for operations of these layers: {told}")


def _layer(node: str, network: keras.Model) -> str:
    """The name of the layer that a node comes from; "no layer" where none is in its name.

    A node is called by the layers around it, each with a number: dense_1 is the layer "dense".
    """
    names = {layer.name for layer in network._flatten_layers(include_self=False)}
    for part in reversed(node.split("/")):
        for name in (re.sub(r"_\d+$", "", part), part):
            if name in names:
                return name
    return "no layer"
