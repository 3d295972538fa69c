"""Exchanges convolutions of one group a channel for depthwise ones, which CPUs compute faster."""

import keras

from tfrobust.core.logits import has_graph
from tfrobust.models.copies import copied

# What layers of both kinds have. It is handed on as it is, as a configuration only names a
# function of one's own.
KEPT = (
    "name",
    "trainable",
    "kernel_size",
    "strides",
    "padding",
    "data_format",
    "dilation_rate",
    "activation",
    "use_bias",
    "bias_initializer",
    "bias_regularizer",
    "bias_constraint",
    "activity_regularizer",
)


def depthwise(network: keras.Model) -> keras.Model:
    """Copies a network, with `DepthwiseConv2D` instead of each `Conv2D` whose groups are channels.

    Both compute the same. On a CPU, Keras compiles each grouped convolution by XLA, alone, whose
    code for it is slow. keras.applications' ConvNeXts are made of them.

    Args:
        network: a Keras classifier of any kind.

    Returns:
        A new model, which is not compiled; or the network itself, where nothing was exchanged. A
        depthwise layer has a copy of its convolution's weights. All other layers are the network's
        own, so training one model trains the other, and their `output` is a tensor of the network.
        A `Conv2D` stays whose groups hold several channels, whose strides differ, whose images are
        channels-first, whose kernel has a regulariser or a constraint, as these are of the
        kernel's shape, or LoRA; and so does all of a subclassed model and inside another layer.
    """
    layers = network._flatten_layers(include_self=False)
    if not has_graph(network) or not any(map(_is_depthwise, layers)):
        return network
    twins: list[tuple[keras.layers.Layer, keras.layers.Layer]] = []

    def exchanged(operation: keras.Operation) -> keras.Operation:
        if not _is_depthwise(operation):
            return operation
        twin = keras.layers.DepthwiseConv2D(
            depth_multiplier=operation.filters // operation.groups,
            dtype=operation.dtype_policy,
            **{option: getattr(operation, option) for option in KEPT},
        )
        twins.append((operation, twin))
        return twin

    copy = copied(network, exchanged)
    for convolution, twin in twins:
        # A kernel (height, width, 1, C·M) is in the same order as one (height, width, C, M).
        kernel, *bias = convolution.get_weights()
        twin.set_weights([kernel.reshape(twin.kernel.shape), *bias])
    return copy if twins else network


def _is_depthwise(operation: keras.Operation) -> bool:
    return (
        type(operation) is keras.layers.Conv2D
        and operation.built
        and operation.groups > 1
        and operation.kernel.shape[2] == 1
        and len({*operation.strides}) == 1
        and operation.data_format == "channels_last"
        and operation.kernel_regularizer is None
        and operation.kernel_constraint is None
        and not operation.lora_enabled
    )
