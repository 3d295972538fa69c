"""Exchanges convolutions of one group a channel for depthwise ones, which CPUs compute faster."""

import keras

from tfrobust.core.logits import has_graph
from tfrobust.models.weights import give_weights


def depthwise(network: keras.Model) -> keras.Model:
    """Copies a network, with `DepthwiseConv2D` instead of each `Conv2D` whose groups are channels.

    Both compute the same. On a CPU, Keras compiles each grouped convolution by XLA, alone, whose
    code for it is slow. keras.applications' ConvNeXts are made of them.

    Args:
        network: a Keras classifier of any kind.

    Returns:
        A new model with copies of the weights, whose other layers may be shared with the network;
        or the network itself, where nothing was exchanged. A `Conv2D` stays whose groups hold
        several channels, whose strides differ, whose images are channels-first, or whose kernel
        has a regulariser or a constraint, as these are of the kernel's shape; and so does all of a
        subclassed model.
    """
    layers = network._flatten_layers(include_self=False)
    if not has_graph(network) or not any(map(_is_depthwise, layers)):
        return network
    found = False  # one inside another layer's code cannot be exchanged

    def exchanged(operation: keras.Operation) -> keras.Operation:
        nonlocal found
        if not _is_depthwise(operation):
            return operation
        found = True
        config = operation.get_config()
        groups, filters = config.pop("groups"), config.pop("filters")
        for option in ("kernel_initializer", "kernel_regularizer", "kernel_constraint"):
            del config[option]
        return keras.layers.DepthwiseConv2D(**config, depth_multiplier=filters // groups)

    twin = keras.models.clone_model(network, clone_function=exchanged, recursive=True)
    if not found:
        return network
    # A kernel (height, width, 1, C·M) is in the same order as one (height, width, C, M).
    weights = [
        value.reshape(variable.shape)
        for value, variable in zip(network.get_weights(), twin.weights, strict=True)
    ]
    give_weights(twin, weights)
    return twin


def _is_depthwise(operation: keras.Operation) -> bool:
    return (
        type(operation) is keras.layers.Conv2D
        and operation.groups > 1
        and operation.kernel.shape[2] == 1
        and len({*operation.strides}) == 1
        and operation.data_format == "channels_last"
        and operation.kernel_regularizer is None
        and operation.kernel_constraint is None
    )
