"""What each kind of Keras layer does to distances: the layers that a certificate can go through."""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np

from tfrobust.certification.growth import Growth, beside, total
from tfrobust.core.layers import HalfHuberReLU, InputNormalization, half_huber_relu
from tfrobust.core.outputs import AsLogits
from tfrobust.errors import InputError
from tfrobust.models.lipschitz_layers import MaxMin, SpaceToDepth, SpatialShift

Shape = tuple[int | None, ...]


class Shapes(NamedTuple):
    """Of the tensors that a layer takes, and of the one that it makes; the batch first."""

    before: Sequence[Shape]
    after: Shape


# A value becomes another by at most so many rounded operations, where only a few are needed.
FEW = 8


def through(layer: keras.Operation, shapes: Shapes, inputs: Sequence[Growth]) -> Growth:
    """The growth behind a layer.

    Args:
        layer: an operation of a network's graph.
        shapes: of what it takes and makes.
        inputs: of the tensors that it takes.

    Raises:
        InputError: nothing is known of such a layer.
    """
    rule = RULES.get(type(layer))  # not of a class made of it, which may compute something else
    if rule is None:
        known = ", ".join(sorted(kind.__name__ for kind in RULES))
        raise InputError(
            f"expected a network whose layers have known Lipschitz constants, got {layer.name}, a "
            f"{type(layer).__name__}; known are {known}"
        )
    return rule(layer, shapes, inputs)


def _dense(layer: Any, shapes: Shapes, inputs: Sequence[Growth]) -> Growth:
    (growth,) = inputs
    kernel = _weights(layer, layer.kernel)
    growth = growth.convolution(kernel[None, None], offset=_bias(layer, shapes.after))
    return _activated(layer, growth)


def _convolution(layer: Any, shapes: Shapes, inputs: Sequence[Growth]) -> Growth:
    kernel = _weights(layer, layer.kernel)
    return _grouped(layer, shapes, inputs, np.split(kernel, layer.groups, axis=-1))


def _depthwise(layer: Any, shapes: Shapes, inputs: Sequence[Growth]) -> Growth:
    kernel = _weights(layer, layer.kernel)  # (height, width, channels, outputs of each)
    return _grouped(layer, shapes, inputs, list(np.moveaxis(kernel, 2, 0)[:, :, :, None]))


def _grouped(
    layer: Any, shapes: Shapes, inputs: Sequence[Growth], kernels: Sequence[np.ndarray]
) -> Growth:
    """Behind a convolution of groups of channels, by the kernel of each group."""
    (growth,) = inputs
    offset = _bias(layer, shapes.after)
    # Groups of channels do not meet, so the worst of them counts.
    groups = [growth.convolution(part, layer.strides, offset) for part in kernels]
    worst = Growth(
        max(part.lipschitz for part in groups),
        np.max([part.norm for part in groups], axis=0),
        np.max([part.error for part in groups], axis=0),
    )
    return _activated(layer, worst)


def _weights(layer: Any, weights: Any) -> np.ndarray:
    if getattr(layer, "quantization_mode", None) is not None:
        raise InputError(f"expected weights in float32, but {layer.name} is quantized")
    return np.asarray(weights, np.float64)


def _bias(layer: Any, shape: Shape) -> float:
    """The norm of the bias at all places of the output together."""
    if not layer.use_bias:
        return 0.0
    bias = _weights(layer, layer.bias)
    return float(np.linalg.norm(bias)) * math.sqrt(_size(shape) / len(bias))


def _size(shape: Shape) -> int:
    """How many values a tensor has for one image."""
    if None in shape[1:]:
        raise InputError(
            f"expected a network of images of one size, got a tensor {shape} inside it: build it "
            "on a keras.Input of the images' size"
        )
    return math.prod(size or 1 for size in shape[1:])


def _activated(layer: Any, growth: Growth) -> Growth:
    """Behind the activation that a layer has inside."""
    # By what it is: a user's own function may have any name.
    if layer.activation in (keras.activations.linear, keras.activations.relu):
        return growth
    if layer.activation is half_huber_relu:
        return growth.linear(1.0, 1.0, FEW)
    name = getattr(layer.activation, "__name__", type(layer.activation).__name__)
    raise InputError(
        f"expected an activation of linear, relu or half_huber_relu, got {name} in {layer.name}: "
        "others are not bounded here"
    )


def _channelwise(shape: Shape, growth: Growth, scale: Any, offset: Any) -> Growth:
    """Behind scale·x + offset, one number for each channel or for all."""
    largest = float(np.max(np.abs(scale)))
    each = np.broadcast_to(np.abs(np.asarray(offset, np.float64)), (shape[-1] or 1,))
    added = float(np.linalg.norm(each)) * math.sqrt(_size(shape) / len(each))
    return growth.linear(largest, largest, FEW, added)


def _input_normalization(layer: Any, shapes: Shapes, inputs: Sequence[Growth]) -> Growth:
    mean, std = np.array(layer.mean), np.array(layer.std)
    return _channelwise(shapes.after, inputs[0], 1 / std, mean / std)


def _rescaling(layer: Any, shapes: Shapes, inputs: Sequence[Growth]) -> Growth:
    return _channelwise(shapes.after, inputs[0], np.array(layer.scale), np.array(layer.offset))


def _batch_normalization(layer: Any, shapes: Shapes, inputs: Sequence[Growth]) -> Growth:
    if layer.axis not in (-1, len(shapes.after) - 1):
        raise InputError(f"expected {layer.name} to normalise the last axis, got {layer.axis}")
    mean, variance = _weights(layer, layer.moving_mean), _weights(layer, layer.moving_variance)
    scale = 1 / np.sqrt(variance + layer.epsilon)
    scale = scale * _weights(layer, layer.gamma) if layer.scale else scale
    offset = np.abs(mean * scale) + (np.abs(_weights(layer, layer.beta)) if layer.center else 0)
    return _channelwise(shapes.after, inputs[0], scale, offset)


def _leaky(layer: Any, shapes: Shapes, inputs: Sequence[Growth]) -> Growth:
    slope = max(1.0, abs(float(layer.negative_slope)))
    return inputs[0].linear(slope, slope, FEW)


def _relu(layer: Any, shapes: Shapes, inputs: Sequence[Growth]) -> Growth:
    if layer.threshold:
        raise InputError(f"expected a ReLU without a threshold, at which {layer.name} jumps")
    if layer.negative_slope:
        return _leaky(layer, shapes, inputs)
    return inputs[0]


def _average_pooling(layer: Any, shapes: Shapes, inputs: Sequence[Growth]) -> Growth:
    if layer.padding != "valid":
        raise InputError(
            f"expected average pooling without padding, got {layer.name} with "
            f"padding={layer.padding!r}, which weighs the border more"
        )
    height, width = layer.pool_size
    kernel = np.full((height, width, 1, 1), 1 / (height * width))
    return inputs[0].convolution(kernel, layer.strides)


def _global_average(layer: Any, shapes: Shapes, inputs: Sequence[Growth]) -> Growth:
    (taken,) = shapes.before
    places = _size(taken) // (taken[-1 if layer.data_format == "channels_last" else 1] or 1)
    slope = 1 / math.sqrt(places)
    return inputs[0].linear(slope, slope, places + 1)


def _max_pooling(layer: Any, shapes: Shapes, inputs: Sequence[Growth]) -> Growth:
    # A pixel is the largest in at most so many windows.
    sizes = zip(layer.pool_size, layer.strides, strict=True)
    return inputs[0].scaled(math.sqrt(math.prod(math.ceil(size / step) for size, step in sizes)))


def _exact(layer: Any, shapes: Shapes, inputs: Sequence[Growth]) -> Growth:
    """What only moves or leaves out values, or takes the larger or smaller of two."""
    return inputs[0]


def _as_logits(layer: Any, shapes: Shapes, inputs: Sequence[Growth]) -> Growth:
    if layer.kind == "logits":
        return inputs[0]
    raise InputError(f"expected a network whose logits can be seen, got one of a {layer.kind}")


def _activation(layer: Any, shapes: Shapes, inputs: Sequence[Growth]) -> Growth:
    return _activated(layer, inputs[0])


def _half_huber(layer: Any, shapes: Shapes, inputs: Sequence[Growth]) -> Growth:
    return inputs[0].linear(1.0, 1.0, FEW)


def _alike(layer: Any, shapes: Shapes) -> None:
    """Refuses tensors that are repeated to the size of others, which lengthens them."""
    sizes = [shape[1:] for shape in (*shapes.before, shapes.after)]
    if len(set(sizes)) > 1 or None in sizes[0]:
        raise InputError(
            f"expected {layer.name} to take tensors of one known shape, got "
            + " and ".join(map(str, sizes[:-1]))
        )


def _add(layer: Any, shapes: Shapes, inputs: Sequence[Growth]) -> Growth:
    _alike(layer, shapes)
    return total(inputs)


def _largest(layer: Any, shapes: Shapes, inputs: Sequence[Growth]) -> Growth:
    _alike(layer, shapes)
    return beside(inputs)


def _average(layer: Any, shapes: Shapes, inputs: Sequence[Growth]) -> Growth:
    return _add(layer, shapes, inputs).linear(1 / len(inputs), 1 / len(inputs), FEW)


def _beside(layer: Any, shapes: Shapes, inputs: Sequence[Growth]) -> Growth:
    return beside(inputs)


Rule = Callable[[Any, Shapes, Sequence[Growth]], Growth]
layers = keras.layers
RULES: dict[type, Rule] = {
    layers.Dense: _dense,
    layers.Conv2D: _convolution,
    layers.DepthwiseConv2D: _depthwise,
    layers.BatchNormalization: _batch_normalization,
    InputNormalization: _input_normalization,
    layers.Rescaling: _rescaling,
    layers.LeakyReLU: _leaky,
    layers.ReLU: _relu,
    HalfHuberReLU: _half_huber,
    layers.Activation: _activation,
    AsLogits: _as_logits,
    layers.AveragePooling2D: _average_pooling,
    layers.GlobalAveragePooling2D: _global_average,
    layers.MaxPooling2D: _max_pooling,
    layers.GlobalMaxPooling2D: _exact,
    layers.Add: _add,
    layers.Subtract: _add,
    layers.Average: _average,
    layers.Concatenate: _beside,
    layers.Maximum: _largest,
    layers.Minimum: _largest,
    **dict.fromkeys(
        (
            layers.ActivityRegularization,
            layers.Cropping2D,
            layers.Dropout,
            layers.Flatten,
            layers.Identity,
            layers.Permute,
            layers.Reshape,
            layers.SpatialDropout2D,
            layers.ZeroPadding2D,
            MaxMin,
            SpaceToDepth,
            SpatialShift,
        ),
        _exact,
    ),
}
