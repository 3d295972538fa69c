"""ONNX for the gradients of convolutions and pools."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from tf2onnx.graph import Node

from tfrobust.exporting.onnx_nodes import NotConvertible, Rewrite

CHANNELS_FIRST, CHANNELS_LAST = [0, 3, 1, 2], [0, 2, 3, 1]
# Height and width are these axes of (N, H, W, C).
SPATIAL = (1, 2)


class Window(NamedTuple):
    """How a window moves over an image. Each pair is for height and width.

    Args:
        kernel: the window's size in pixels.
        strides: pixels between two windows.
        dilations: pixels between two of a window's pixels.
        before: pixels of padding before the image.
        after: pixels of padding behind it.
        left_over: pixels at the image's end that no window reaches.
        windows: how many there are.
    """

    kernel: tuple[int, int]
    strides: tuple[int, int]
    dilations: tuple[int, int]
    before: tuple[int, int]
    after: tuple[int, int]
    left_over: tuple[int, int]
    windows: tuple[int, int]


def _window(node: Node, kernel: Sequence[int], whole: Sequence[int]) -> Window:
    """Reads how a node's window moves from its attributes.

    The number of windows is not read from the shape of the gradient, which may be unknown: where
    padding follows a convolution, its gradient is cut out of a larger one.

    Args:
        node: the gradient of a convolution or pool.
        kernel: height and width of the window, in pixels.
        whole: the image's shape (N, H, W, C).
    """
    if node.get_attr_str("data_format") != "NHWC":
        raise NotConvertible("its channels come first")
    padding = node.get_attr_str("padding")
    strides = list(node.get_attr("strides").ints)
    dilations = list(node.get_attr("dilations").ints) if node.get_attr("dilations") else [1] * 4
    explicit = list(node.get_attr("explicit_paddings").ints) if padding == "EXPLICIT" else []
    before, after, left_over, counts = [], [], [], []
    for axis, size in zip(SPATIAL, kernel, strict=True):
        stride, length = strides[axis], dilations[axis] * (size - 1) + 1
        first, last = explicit[2 * axis : 2 * axis + 2] if explicit else (0, 0)
        if padding == "SAME":
            windows = -(-whole[axis] // stride)
            missing = max(stride * (windows - 1) + length - whole[axis], 0)
            first, last = missing // 2, missing - missing // 2
        else:
            windows = (whole[axis] + first + last - length) // stride + 1
        reach = stride * (windows - 1) + length
        counts.append(windows)
        before.append(first)
        after.append(last)
        left_over.append(whole[axis] - (reach - first - last))
    return Window(
        (kernel[0], kernel[1]),
        (strides[1], strides[2]),
        (dilations[1], dilations[2]),
        (before[0], before[1]),
        (after[0], after[1]),
        (left_over[0], left_over[1]),
        (counts[0], counts[1]),
    )


def _transposed_convolution(
    rewrite: Rewrite, gradient: str, weights: str, window: Window, groups: int
) -> str:
    """Spreads each window's gradient over the window's pixels.

    Gradient and result are (N, H, W, C); the weights are laid out as ONNX has them.
    """
    spread = rewrite.make(
        "ConvTranspose",
        rewrite.make("Transpose", gradient, perm=CHANNELS_FIRST),
        weights,
        kernel_shape=window.kernel,
        strides=window.strides,
        dilations=window.dilations,
        pads=(*window.before, *window.after),
        output_padding=window.left_over,
        group=groups,
    )
    return rewrite.make("Transpose", spread, perm=CHANNELS_LAST)


def convolution(rewrite: Rewrite) -> None:
    """The gradient with respect to a convolution's input; Conv2DTranspose computes the same."""
    whole, kernel = rewrite.shape_computed_by(0), rewrite.shape(1)
    window = _window(rewrite.node, kernel[:2], whole)
    groups = whole[3] // kernel[2]
    if groups == 1 and window.strides == (1, 1) and min(_edges(window)) >= 0:
        rewrite.finish(_convolution_back(rewrite, window))
        return
    # OpenVINO prepares a convolution's weights once for it and for a transposed one that has the
    # same ones, and gets the second wrong (seen in 2026.4). Powers of two round nothing.
    weights = rewrite.make("Transpose", rewrite.inputs[1], perm=[3, 2, 0, 1])
    weights = rewrite.make("Mul", weights, rewrite.constant(2, np.float32))
    gradient = rewrite.make("Mul", rewrite.inputs[2], rewrite.constant(0.5, np.float32))
    rewrite.finish(_transposed_convolution(rewrite, gradient, weights, window, groups))


def _convolution_back(rewrite: Rewrite, window: Window) -> str:
    """The gradient where the window moves by single pixels: a convolution by mirrored weights.

    A transposed convolution would give the same, but runtimes are slower at it.
    """
    weights = rewrite.make("Transpose", rewrite.inputs[1], perm=[2, 3, 0, 1])
    spread = rewrite.make(
        "Conv",
        rewrite.make("Transpose", rewrite.inputs[2], perm=CHANNELS_FIRST),
        rewrite.reversed(weights, [2, 3]),
        kernel_shape=window.kernel,
        dilations=window.dilations,
        pads=_edges(window),
    )
    return rewrite.make("Transpose", spread, perm=CHANNELS_LAST)


def _edges(window: Window) -> list[int]:
    """The padding of `_convolution_back`: at each edge, what a window reaches beyond the image.

    It is below 0, and ONNX refuses it, where the network pads by more than a window reaches.
    """
    reaches = [
        step * (size - 1) for step, size in zip(window.dilations, window.kernel, strict=True)
    ]
    padding = (*window.before, *window.after)
    return [reach - pixels for reach, pixels in zip(reaches * 2, padding, strict=True)]


def depthwise_convolution(rewrite: Rewrite) -> None:
    """The gradient with respect to a depthwise convolution's input."""
    whole, (height, width, channels, copies) = rewrite.shape_computed_by(0), rewrite.shape(1)
    window = _window(rewrite.node, (height, width), whole)
    weights = rewrite.make("Transpose", rewrite.inputs[1], perm=[2, 3, 0, 1])
    sizes = rewrite.constant([channels * copies, 1, height, width])
    weights = rewrite.make("Reshape", weights, sizes)
    rewrite.finish(_transposed_convolution(rewrite, rewrite.inputs[2], weights, window, channels))


def average_pool(rewrite: Rewrite) -> None:
    """The gradient with respect to an average pool's input."""
    whole = rewrite.shape_computed_by(0)
    window = _window(rewrite.node, list(rewrite.node.get_attr("ksize").ints)[1:3], whole)
    # A window's mean is taken over its pixels inside the image, not over the padding.
    counts = np.ones(1)
    for axis, size, stride, before, windows in zip(
        SPATIAL, window.kernel, window.strides, window.before, window.windows, strict=True
    ):
        starts = np.arange(windows) * stride - before
        there = np.minimum(starts + size, whole[axis]) - np.maximum(starts, 0)
        counts = np.multiply.outer(counts, there)
    shares = rewrite.make("Div", rewrite.inputs[1], rewrite.constant(counts[..., None], np.float32))
    ones = rewrite.constant(np.ones((whole[3], 1, *window.kernel)), np.float32)
    rewrite.finish(_transposed_convolution(rewrite, shares, ones, window, whole[3]))


def max_pool(rewrite: Rewrite) -> None:
    """The gradient with respect to a maximum pool's input.

    The gradient goes to the pixels that were the largest. It is added up where windows overlap.
    """
    size = list(rewrite.node.get_attr("ksize").ints)[1:3]
    window = _window(rewrite.node, size, rewrite.shape(0))
    images = rewrite.make("Transpose", rewrite.inputs[0], perm=CHANNELS_FIRST)
    # MaxPool's second output holds indices into the whole batch, laid out flat.
    places = rewrite.make(
        "MaxPool",
        images,
        outputs=2,
        kernel_shape=window.kernel,
        strides=window.strides,
        pads=(*window.before, *window.after),
    )
    flat = rewrite.constant([-1])
    gradient = rewrite.make("Transpose", rewrite.inputs[2], perm=CHANNELS_FIRST)
    zeros = rewrite.make(
        "Mul", rewrite.make("Reshape", images, flat), rewrite.constant(0.0, np.float32)
    )
    spread = rewrite.make(
        "ScatterElements",
        zeros,
        rewrite.make("Reshape", places, flat),
        rewrite.make("Reshape", gradient, flat),
        axis=0,
        reduction="add",
    )
    spread = rewrite.make("Reshape", spread, rewrite.make("Shape", images))
    rewrite.finish(rewrite.make("Transpose", spread, perm=CHANNELS_LAST))


HANDLERS: dict[str, Callable[[Rewrite], None]] = {
    "AvgPoolGrad": average_pool,
    "Conv2DBackpropInput": convolution,
    "DepthwiseConv2dNativeBackpropInput": depthwise_convolution,
    "MaxPoolGrad": max_pool,
}
