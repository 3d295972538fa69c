"""ONNX for TensorFlow's gradient operations, which tf2onnx does not convert.

`HANDLERS` names a function for each operation. It replaces one node of tf2onnx's graph with ONNX
operations. TensorFlow computes shapes while it runs; here all sizes but the batch's are known
beforehand, so the loop of an explanation holds little but the network.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from tf2onnx.utils import map_onnx_to_numpy_type

from tfrobust.exporting import onnx_window_gradients
from tfrobust.exporting.onnx_nodes import Rewrite


def _shape_n(rewrite: Rewrite) -> None:
    """ShapeN gives the shape of each of its inputs."""
    rewrite.finish(*(rewrite.make("Shape", name) for name in rewrite.inputs))


def _broadcast_gradient_args(rewrite: Rewrite) -> None:
    """Gives the axes over which the gradient of each of two operands is summed.

    An operand's axes are those along which it was broadcast.
    """
    shapes = [rewrite.shape_computed_by(index) for index in (0, 1)]
    rank = max(map(len, shapes))
    first, second = ([1] * (rank - len(shape)) + shape for shape in shapes)

    def summed(own: list[int], other: list[int]) -> str:
        axes = [axis for axis in range(rank) if own[axis] == 1 and other[axis] != 1]
        return rewrite.constant(axes)

    rewrite.finish(summed(first, second), summed(second, first))


def _dynamic_stitch(rewrite: Rewrite) -> None:
    """Merges vectors by their indices.

    The last of repeated indices counts, so the vectors are scattered one after the other.
    """
    count, (_, shape, dtype) = len(rewrite.inputs) // 2, rewrite.outputs[0]
    flat = rewrite.constant([-1])
    merged = rewrite.constant(np.zeros(shape), map_onnx_to_numpy_type(dtype))
    for index, values in zip(rewrite.inputs[:count], rewrite.inputs[count:], strict=True):
        index = rewrite.make("Reshape", index, flat)
        values = rewrite.make("Reshape", values, flat)
        values = rewrite.make("Expand", values, rewrite.make("Shape", index))
        merged = rewrite.make("ScatterElements", merged, index, values, axis=0)
    rewrite.finish(merged)


def _relu(rewrite: Rewrite) -> None:
    gradient, features = rewrite.inputs
    zero = rewrite.constant(0, np.float32)
    active = rewrite.make("Greater", features, zero)
    rewrite.finish(rewrite.make("Where", active, gradient, zero))


def _leaky_relu(rewrite: Rewrite) -> None:
    gradient, features = rewrite.inputs
    zero, slope = (
        rewrite.constant(value, np.float32) for value in (0, rewrite.node.get_attr_value("alpha"))
    )
    below = rewrite.make("Mul", gradient, slope)
    rewrite.finish(rewrite.make("Where", rewrite.make("Greater", features, zero), gradient, below))


def _relu6(rewrite: Rewrite) -> None:
    gradient, features = rewrite.inputs
    zero, six = (rewrite.constant(value, np.float32) for value in (0, 6))
    between = rewrite.make(
        "And", rewrite.make("Greater", features, zero), rewrite.make("Less", features, six)
    )
    rewrite.finish(rewrite.make("Where", between, gradient, zero))


def _tanh(rewrite: Rewrite) -> None:
    """g·(1 − y²), where y is the activation's output."""
    outputs, gradient = rewrite.inputs
    slope = rewrite.make(
        "Sub", rewrite.constant(1, np.float32), rewrite.make("Mul", outputs, outputs)
    )
    rewrite.finish(rewrite.make("Mul", gradient, slope))


def _sigmoid(rewrite: Rewrite) -> None:
    """g·y·(1 − y), where y is the activation's output."""
    outputs, gradient = rewrite.inputs
    rest = rewrite.make("Sub", rewrite.constant(1, np.float32), outputs)
    rewrite.finish(rewrite.make("Mul", gradient, rewrite.make("Mul", outputs, rest)))


def _elu(rewrite: Rewrite) -> None:
    """g·(y + 1) where the activation's output y is below 0, and g elsewhere."""
    gradient, outputs = rewrite.inputs
    zero, one = (rewrite.constant(value, np.float32) for value in (0, 1))
    below = rewrite.make("Mul", gradient, rewrite.make("Add", outputs, one))
    rewrite.finish(rewrite.make("Where", rewrite.make("Less", outputs, zero), below, gradient))


def _softplus(rewrite: Rewrite) -> None:
    gradient, features = rewrite.inputs
    rewrite.finish(rewrite.make("Mul", gradient, rewrite.make("Sigmoid", features)))


def _handler(replace: Callable[[Rewrite], None]) -> tuple[Callable[..., None], list[Any]]:
    return lambda graph, node, name, arguments: replace(Rewrite(graph, node)), []


HANDLERS = {
    "ShapeN": _handler(_shape_n),
    "BroadcastGradientArgs": _handler(_broadcast_gradient_args),
    "DynamicStitch": _handler(_dynamic_stitch),
    "Conv2DBackpropInput": _handler(onnx_window_gradients.convolution),
    "DepthwiseConv2dNativeBackpropInput": _handler(onnx_window_gradients.depthwise_convolution),
    "AvgPoolGrad": _handler(onnx_window_gradients.average_pool),
    "MaxPoolGrad": _handler(onnx_window_gradients.max_pool),
    "ReluGrad": _handler(_relu),
    "LeakyReluGrad": _handler(_leaky_relu),
    "Relu6Grad": _handler(_relu6),
    "EluGrad": _handler(_elu),
    "SoftplusGrad": _handler(_softplus),
    "TanhGrad": _handler(_tanh),
    "SigmoidGrad": _handler(_sigmoid),
}
