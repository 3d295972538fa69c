"""What tf2onnx lacks to convert a network's gradient: ONNX for TensorFlow's gradient operations.

Each function puts ONNX in the place of one node of tf2onnx's graph; `HANDLERS` names them all.
TensorFlow computes shapes while it runs; here all but the batch's size are known beforehand, so
that the loop holds little but the network.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from onnx import TensorProto
from tf2onnx.graph import Graph, Node
from tf2onnx.utils import make_name, map_onnx_to_numpy_type

CHANNELS_FIRST, CHANNELS_LAST = [0, 3, 1, 2], [0, 2, 3, 1]
FLOAT = TensorProto.FLOAT
# The height and the width of NHWC.
SPATIAL = (1, 2)


class NotConvertible(Exception):
    """A gradient that ONNX cannot be written for; the message says why."""


class Place:
    """Where a node stands, and what shall stand there instead."""

    def __init__(self, graph: Graph, node: Node) -> None:
        self.graph, self.node, self.inputs = graph, node, list(node.input)
        self.outputs = list(zip(node.output, node.output_shapes, node.output_dtypes, strict=True))

    def constant(self, value: Any, dtype: Any = np.int64) -> str:
        """A constant's name."""
        return str(self.graph.make_const(make_name("constant"), np.array(value, dtype)).output[0])

    def make(self, kind: str, *inputs: str, outputs: int = 1, **attributes: Any) -> str:
        """An ONNX operation: → the name of its last output."""
        made = self.graph.make_node(kind, list(inputs), attr=attributes, output_count=outputs)
        return str(made.output[-1])

    def replace(self, *results: str) -> None:
        """Ends the work: the results stand for the node's outputs."""
        self.graph.remove_node(self.node.name)
        for (name, shape, dtype), result in zip(self.outputs, results, strict=True):
            # ONNX counts in int64, TensorFlow mostly in int32.
            kind, attributes = ("Identity", {}) if dtype == FLOAT else ("Cast", {"to": dtype})
            self.graph.make_node(
                kind, [result], attributes, outputs=[name], shapes=[shape], dtypes=[dtype]
            )

    def shape(self, index: int) -> list[int]:
        """The static shape of an input, −1 for the batch."""
        return _known(self.node, self.graph.get_shape(self.inputs[index]))

    def shape_told_by(self, index: int) -> list[int]:
        """The static shape that an input computes while it runs, −1 for the batch."""
        node = self.node.inputs[index]
        while node.type in ("Cast", "Identity"):
            node = node.inputs[0]
        if node.is_const():
            return [int(size) for size in np.ravel(node.get_tensor_value(as_list=False))]
        told = self.graph.get_shape(node.input[0]) if node.type == "Shape" else None
        return _known(self.node, told)


def _known(node: Node, shape: Sequence[int] | None) -> list[int]:
    if shape is None or any(size < 0 for size in shape[1:]):
        raise NotConvertible(f"{node.type} of a shape that only running tells ({node.name})")
    return list(shape)


def _shape_n(place: Place) -> None:
    """The shape of every input."""
    place.replace(*(place.make("Shape", name) for name in place.inputs))


def _broadcast_gradient_args(place: Place) -> None:
    """Over which axes the gradients of two operands are summed: where each was broadcast."""
    shapes = [place.shape_told_by(index) for index in (0, 1)]
    rank = max(map(len, shapes))
    first, second = ([1] * (rank - len(shape)) + shape for shape in shapes)

    def summed(own: list[int], other: list[int]) -> str:
        axes = [axis for axis in range(rank) if own[axis] == 1 and other[axis] != 1]
        return place.constant(axes)

    place.replace(summed(first, second), summed(second, first))


def _dynamic_stitch(place: Place) -> None:
    """Vectors merged by indices: of repeated ones the last counts, so one scatter each, in turn."""
    count, (_, shape, dtype) = len(place.inputs) // 2, place.outputs[0]
    flat = place.constant([-1])
    merged = place.constant(np.zeros(shape), map_onnx_to_numpy_type(dtype))
    for index, values in zip(place.inputs[:count], place.inputs[count:], strict=True):
        index = place.make("Reshape", index, flat)
        values = place.make("Reshape", values, flat)
        values = place.make("Expand", values, place.make("Shape", index))
        merged = place.make("ScatterElements", merged, index, values, axis=0)
    place.replace(merged)


class _Window(NamedTuple):
    """How a window moves over an image, height and width each."""

    kernel: tuple[int, int]
    strides: tuple[int, int]
    dilations: tuple[int, int]
    before: tuple[int, int]
    after: tuple[int, int]
    # Pixels at the end that no window reaches.
    left_over: tuple[int, int]


def _window(
    node: Node, kernel: Sequence[int], whole: Sequence[int], windows: Sequence[int]
) -> _Window:
    """Reads a node's attributes.

    Args:
        node: a convolution's or pool's gradient.
        kernel: height and width.
        whole: the image's shape, NHWC.
        windows: the windows' shape, NHWC.
    """
    if node.get_attr_str("data_format") != "NHWC":
        raise NotConvertible(f"{node.type} with channels first")
    padding = node.get_attr_str("padding")
    strides = list(node.get_attr("strides").ints)
    dilations = list(node.get_attr("dilations").ints) if node.get_attr("dilations") else [1] * 4
    explicit = list(node.get_attr("explicit_paddings").ints) if padding == "EXPLICIT" else []
    before, after, left_over = [], [], []
    for axis, size in zip(SPATIAL, kernel, strict=True):
        reach = strides[axis] * (windows[axis] - 1) + dilations[axis] * (size - 1) + 1
        missing = max(reach - whole[axis], 0) if padding == "SAME" else 0
        first, last = missing // 2, missing - missing // 2
        if explicit:
            first, last = explicit[2 * axis : 2 * axis + 2]
        before.append(first)
        after.append(last)
        left_over.append(whole[axis] - (reach - first - last))
    return _Window(
        (kernel[0], kernel[1]),
        (strides[1], strides[2]),
        (dilations[1], dilations[2]),
        (before[0], before[1]),
        (after[0], after[1]),
        (left_over[0], left_over[1]),
    )


def _transposed_convolution(
    place: Place, gradient: str, weights: str, window: _Window, groups: int
) -> str:
    """Spreads each window's gradient over its pixels: NHWC → NHWC, weights as ONNX has them."""
    spread = place.make(
        "ConvTranspose",
        place.make("Transpose", gradient, perm=CHANNELS_FIRST),
        weights,
        kernel_shape=window.kernel,
        strides=window.strides,
        dilations=window.dilations,
        pads=(*window.before, *window.after),
        output_padding=window.left_over,
        group=groups,
    )
    return place.make("Transpose", spread, perm=CHANNELS_LAST)


def _convolution(place: Place) -> None:
    whole, kernel = place.shape_told_by(0), place.shape(1)
    window = _window(place.node, kernel[:2], whole, place.shape(2))
    weights = place.make("Transpose", place.inputs[1], perm=[3, 2, 0, 1])
    groups = whole[3] // kernel[2]
    place.replace(_transposed_convolution(place, place.inputs[2], weights, window, groups))


def _depthwise_convolution(place: Place) -> None:
    whole, (height, width, channels, copies) = place.shape_told_by(0), place.shape(1)
    window = _window(place.node, (height, width), whole, place.shape(2))
    weights = place.make("Transpose", place.inputs[1], perm=[2, 3, 0, 1])
    sizes = place.constant([channels * copies, 1, height, width])
    weights = place.make("Reshape", weights, sizes)
    place.replace(_transposed_convolution(place, place.inputs[2], weights, window, channels))


def _average_pool(place: Place) -> None:
    whole, windows = place.shape_told_by(0), place.shape(1)
    window = _window(place.node, list(place.node.get_attr("ksize").ints)[1:3], whole, windows)
    # A window's mean is over those of its pixels that are there.
    counts = np.ones(1)
    for axis, size, stride, before in zip(
        SPATIAL, window.kernel, window.strides, window.before, strict=True
    ):
        starts = np.arange(windows[axis]) * stride - before
        there = np.minimum(starts + size, whole[axis]) - np.maximum(starts, 0)
        counts = np.multiply.outer(counts, there)
    shares = place.make("Div", place.inputs[1], place.constant(counts[..., None], np.float32))
    ones = place.constant(np.ones((whole[3], 1, *window.kernel)), np.float32)
    place.replace(_transposed_convolution(place, shares, ones, window, whole[3]))


def _max_pool(place: Place) -> None:
    """The gradient goes to the pixels that were the largest, added up where windows overlap."""
    whole, windows = place.shape(0), place.shape(2)
    window = _window(place.node, list(place.node.get_attr("ksize").ints)[1:3], whole, windows)
    images = place.make("Transpose", place.inputs[0], perm=CHANNELS_FIRST)
    # MaxPool's second output are places in the whole batch, laid out flat.
    places = place.make(
        "MaxPool",
        images,
        outputs=2,
        kernel_shape=window.kernel,
        strides=window.strides,
        pads=(*window.before, *window.after),
    )
    flat = place.constant([-1])
    gradient = place.make("Transpose", place.inputs[2], perm=CHANNELS_FIRST)
    zeros = place.make("Mul", place.make("Reshape", images, flat), place.constant(0.0, np.float32))
    spread = place.make(
        "ScatterElements",
        zeros,
        place.make("Reshape", places, flat),
        place.make("Reshape", gradient, flat),
        axis=0,
        reduction="add",
    )
    spread = place.make("Reshape", spread, place.make("Shape", images))
    place.replace(place.make("Transpose", spread, perm=CHANNELS_LAST))


def _relu(place: Place) -> None:
    gradient, features = place.inputs
    zero = place.constant(0, np.float32)
    active = place.make("Greater", features, zero)
    place.replace(place.make("Where", active, gradient, zero))


def _leaky_relu(place: Place) -> None:
    gradient, features = place.inputs
    zero, slope = (
        place.constant(value, np.float32) for value in (0, place.node.get_attr_value("alpha"))
    )
    below = place.make("Mul", gradient, slope)
    place.replace(place.make("Where", place.make("Greater", features, zero), gradient, below))


def _relu6(place: Place) -> None:
    gradient, features = place.inputs
    zero, six = (place.constant(value, np.float32) for value in (0, 6))
    between = place.make(
        "And", place.make("Greater", features, zero), place.make("Less", features, six)
    )
    place.replace(place.make("Where", between, gradient, zero))


def _tanh(place: Place) -> None:
    """Of the activation's output y: g·(1 − y²)."""
    outputs, gradient = place.inputs
    slope = place.make("Sub", place.constant(1, np.float32), place.make("Mul", outputs, outputs))
    place.replace(place.make("Mul", gradient, slope))


def _sigmoid(place: Place) -> None:
    """Of the activation's output y: g·y·(1 − y)."""
    outputs, gradient = place.inputs
    rest = place.make("Sub", place.constant(1, np.float32), outputs)
    place.replace(place.make("Mul", gradient, place.make("Mul", outputs, rest)))


def _elu(place: Place) -> None:
    """Of the activation's output y: g·(y + 1) below 0, g above."""
    gradient, outputs = place.inputs
    zero, one = (place.constant(value, np.float32) for value in (0, 1))
    below = place.make("Mul", gradient, place.make("Add", outputs, one))
    place.replace(place.make("Where", place.make("Less", outputs, zero), below, gradient))


def _softplus(place: Place) -> None:
    gradient, features = place.inputs
    place.replace(place.make("Mul", gradient, place.make("Sigmoid", features)))


def _handler(replace: Callable[[Place], None]) -> tuple[Callable[..., None], list[Any]]:
    return lambda graph, node, name, arguments: replace(Place(graph, node)), []


HANDLERS = {
    "ShapeN": _handler(_shape_n),
    "BroadcastGradientArgs": _handler(_broadcast_gradient_args),
    "DynamicStitch": _handler(_dynamic_stitch),
    "Conv2DBackpropInput": _handler(_convolution),
    "DepthwiseConv2dNativeBackpropInput": _handler(_depthwise_convolution),
    "AvgPoolGrad": _handler(_average_pool),
    "MaxPoolGrad": _handler(_max_pool),
    "ReluGrad": _handler(_relu),
    "LeakyReluGrad": _handler(_leaky_relu),
    "Relu6Grad": _handler(_relu6),
    "EluGrad": _handler(_elu),
    "SoftplusGrad": _handler(_softplus),
    "TanhGrad": _handler(_tanh),
    "SigmoidGrad": _handler(_sigmoid),
}
