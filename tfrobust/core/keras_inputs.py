"""What a Keras network takes, brought to float images (B, H, W, C) with pixels from 0 to 1."""

import functools
from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

from tfrobust.core.activations import fresh_name
from tfrobust.core.input_range import FREE_SIDE, UNIT, Range
from tfrobust.errors import InputError

CHANNELS = (1, 2, 3, 4)  # of an image, unless its network's layers say otherwise


def channels_first(sizes: Sequence[int | None]) -> bool:
    """Whether the sizes of an image are plainly (C, H, W); None is a free size."""
    return sizes[0] in CHANNELS and sizes[2] not in CHANNELS


def unit_network(network: keras.Model, input_range: Range | None) -> keras.Model:
    """A network of float images (B, H, W, C) with pixels from 0 to 1, made of one of others.

    Args:
        network: a functional or Sequential model of images, (B, H, W, C) or (B, C, H, W).
        input_range: its lowest and highest pixel; None for (0, 1).

    Returns:
        A functional model with the same layers behind a `Rescaling` and a `Permute`, where they
        are needed, else the network itself. It shares its weights.
    """
    taken = network.inputs[0]
    batch, *sizes = taken.shape
    first = _takes_channels_first(network)
    if first:
        _check_biases(network)
    known = batch is None and keras.backend.is_float_dtype(taken.dtype)
    if known and not first and input_range in (None, UNIT):
        return network
    images = keras.Input([*sizes[1:], sizes[0]] if first else sizes, name="images")
    pixels = images
    if input_range not in (None, UNIT):
        low, high = input_range
        # In float32 whatever the policy: half precision would round pixels to fewer than 8 bits.
        name = fresh_name(network, "to_input_range")
        pixels = keras.layers.Rescaling(high - low, low, dtype="float32", name=name)(pixels)
    if first:
        name = fresh_name(network, "to_channels_first")
        pixels = keras.layers.Permute((3, 1, 2), dtype="float32", name=name)(pixels)
    # Its layers one by one and not as one nested model, so that Grad-CAM finds them.
    graph = getattr(network, "_functional", None) or network
    outputs = graph._run_through_graph(pixels, operation_fn=lambda operation: operation)
    return keras.Model(images, outputs, name=network.name)


def _check_biases(network: keras.Model) -> None:
    """Refuses a network of images (B, C, H, W) whose biases Keras adds along the wrong axis.

    Where a layer's width equals its number of filters, `keras.ops.add` of Keras 3.15 takes the
    last axis for the channels. `predict` is right by chance: TensorFlow's graphs mend it, and XLA
    does not.
    """
    sizes = [size or FREE_SIDE for size in network.inputs[0].shape[1:]]
    images = tf.constant(np.random.default_rng(0).random((2, *sizes), np.float32))
    ask = functools.partial(network, training=False)
    if not np.allclose(ask(images), tf.function(ask)(images), rtol=1e-3, atol=1e-3):
        raise InputError(
            f"expected a network of images (B, height, width, channels), but {network.name} takes "
            "(B, channels, height, width), and a layer is as wide as it has filters: Keras 3 then "
            "adds its bias along the wrong axis. Build the network with data_format="
            "'channels_last' and the same weights, or export it to ONNX and load that"
        )


def _takes_channels_first(network: keras.Model) -> bool:
    sizes = network.inputs[0].shape[1:]
    if channels_first(sizes) or channels_first(sizes[::-1]):
        return channels_first(sizes)
    layers = network._flatten_layers(include_self=False)
    formats = [layer.data_format for layer in layers if hasattr(layer, "data_format")]
    return formats[:1] == ["channels_first"]
