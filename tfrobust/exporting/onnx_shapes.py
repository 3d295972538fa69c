"""ONNX for TensorFlow's arithmetic of shapes, and for gradients that put pieces in their places.

TensorFlow computes shapes while it runs; here all sizes but the batch's are known beforehand, so
the loop of an explanation holds little but the network.
"""

from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf
from tf2onnx.graph import Node
from tf2onnx.utils import map_onnx_to_numpy_type

from tfrobust.exporting.onnx_nodes import NotConvertible, Rewrite


def shape_n(rewrite: Rewrite) -> None:
    """ShapeN gives the shape of each of its inputs."""
    rewrite.finish(*(rewrite.make("Shape", name) for name in rewrite.inputs))


def broadcast_gradient_args(rewrite: Rewrite) -> None:
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


def concatenation_offsets(rewrite: Rewrite) -> None:
    """Gives where each of several tensors begins in their concatenation."""
    shapes = [rewrite.shape_computed_by(index) for index in range(1, len(rewrite.inputs))]
    (axis,) = rewrite.values(0)
    axis %= len(shapes[0])
    if axis == 0:
        raise NotConvertible("batches are joined into a larger one")
    begins = np.cumsum([0, *(shape[axis] for shape in shapes[:-1])])
    offsets = np.zeros((len(shapes), len(shapes[0])))
    offsets[:, axis] = begins
    rewrite.finish(*map(rewrite.constant, offsets))


def dynamic_stitch(rewrite: Rewrite) -> None:
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


def slice_gradient(rewrite: Rewrite) -> None:
    """The gradient of x[begin:end:stride, …]: zeros, except where the piece was."""
    whole = rewrite.shape_computed_by(0)
    begin, end, strides = (rewrite.values(index) for index in (1, 2, 3))
    pieces = _pieces(rewrite.node, len(whole), begin, end, strides)
    places = [range(size)[piece] for size, piece in zip(whole[1:], pieces[1:], strict=True)]
    if pieces[0] != slice(None, None, 1):
        raise NotConvertible("a piece of a batch is cut out")
    # An axis of which one place was taken is missing, and new ones may be there.
    sizes = rewrite.constant([-1, *map(len, places)])
    gradient = rewrite.make("Reshape", rewrite.inputs[4], sizes)
    for axis, (size, taken) in enumerate(zip(whole[1:], places, strict=True), 1):
        if taken == range(size):
            continue
        # A zero goes behind the piece. Each place then gets its part of the piece, or the zero.
        behind = np.zeros((2, len(whole)))
        behind[1, axis] = 1
        padded = rewrite.make("Pad", gradient, rewrite.constant(behind.ravel()))
        sources = np.full(size, len(taken))
        sources[list(taken)] = np.arange(len(taken))
        gradient = rewrite.make("Gather", padded, rewrite.constant(sources), axis=axis)
    rewrite.finish(gradient)


def reverse(rewrite: Rewrite) -> None:
    """Runs backwards along some axes; tf2onnx's ReverseSequence is not known everywhere."""
    rewrite.finish(rewrite.reversed(rewrite.inputs[0], rewrite.values(1)))


def mirror_pad_gradient(rewrite: Rewrite) -> None:
    """The gradient of a padding by mirrored pixels."""
    mode = rewrite.node.get_attr_str("mode").lower()
    whole, gradient = rewrite.shape(0), rewrite.inputs[0]
    for axis, (before, after) in enumerate(np.reshape(rewrite.values(1), (-1, 2))):
        if before or after:
            size = whole[axis] - before - after
            padded = np.pad(np.eye(size), ((before, after), (0, 0)), mode)
            gradient = _along(rewrite, gradient, padded, axis, len(whole))
    rewrite.finish(gradient)


def resize_gradient(rewrite: Rewrite) -> None:
    """The gradient of a change of an image's size, bilinear or by nearest neighbours."""
    bilinear = rewrite.node.type == "ResizeBilinearGrad"
    resize = tf.raw_ops.ResizeBilinear if bilinear else tf.raw_ops.ResizeNearestNeighbor
    # The nearest neighbours' operation is told a size, the other one an image of that size.
    sizes = rewrite.shape(1)[1:3] if bilinear else rewrite.values(1)
    resized, gradient = rewrite.shape(0), rewrite.inputs[0]
    for axis, size in zip((1, 2), sizes, strict=True):
        # TensorFlow itself tells the weights of an axis: an image of one row, each of whose pixels
        # has a channel of its own, is resized.
        with tf.Graph().as_default(), tf.compat.v1.Session() as session:
            weights = session.run(
                resize(
                    images=np.eye(size, dtype=np.float32)[None, None],
                    size=[1, resized[axis]],
                    align_corners=bool(rewrite.node.get_attr_value("align_corners")),
                    half_pixel_centers=bool(rewrite.node.get_attr_value("half_pixel_centers")),
                )
            )[0, 0]
        gradient = _along(rewrite, gradient, weights, axis, 4)
    rewrite.finish(gradient)


def _along(rewrite: Rewrite, tensor: str, matrix: np.ndarray, axis: int, rank: int) -> str:
    """A tensor times a matrix along an axis."""
    order = [*(other for other in range(rank) if other != axis), axis]
    last = rewrite.make("Transpose", tensor, perm=order)
    product = rewrite.make("MatMul", last, rewrite.constant(matrix, np.float32))
    return rewrite.make("Transpose", product, perm=np.argsort(order).tolist())


def _pieces(
    node: Node, rank: int, begin: Sequence[int], end: Sequence[int], strides: Sequence[int]
) -> list[slice]:
    """What a strided slice takes of each axis. Its masks are those of tf.strided_slice."""

    def masked(mask: str, place: int) -> bool:
        return bool(node.get_attr_value(f"{mask}_mask") >> place & 1)

    pieces: list[slice] = []
    for place, (first, stop, stride) in enumerate(zip(begin, end, strides, strict=True)):
        if masked("ellipsis", place):
            later = range(place + 1, len(begin))
            named = sum(not masked("new_axis", one) for one in later)
            pieces += [slice(None, None, 1)] * (rank - len(pieces) - named)
        elif masked("shrink_axis", place):
            pieces.append(slice(first, first + 1 or None, 1))
        elif not masked("new_axis", place):
            pieces.append(
                slice(
                    None if masked("begin", place) else first,
                    None if masked("end", place) else stop,
                    stride,
                )
            )
    return pieces + [slice(None, None, 1)] * (rank - len(pieces))


HANDLERS: dict[str, Callable[[Rewrite], None]] = {
    "BroadcastGradientArgs": broadcast_gradient_args,
    "ConcatOffset": concatenation_offsets,
    "DynamicStitch": dynamic_stitch,
    "MirrorPadGrad": mirror_pad_gradient,
    "ResizeBilinearGrad": resize_gradient,
    "ResizeNearestNeighborGrad": resize_gradient,
    "ReverseV2": reverse,
    "ShapeN": shape_n,
    "StridedSliceGrad": slice_gradient,
}
