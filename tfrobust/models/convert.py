"""Converts a network into another with the same weights: with a smooth ReLU, or in float32."""

from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from tfrobust.core.layers import HalfHuberReLU, half_huber_relu
from tfrobust.core.logits import has_graph
from tfrobust.core.logits import logits_network as logits_network  # one of the converters
from tfrobust.errors import InputError
from tfrobust.models.copies import anew, copied
from tfrobust.models.weights import give_weights

FULL = "float32"
RELU, VARIANT = "ReLU", "ReLU with a ceiling, slope or threshold"
# Activations that stay, by the names of Keras' functions, operations and layers in lower case.
WITH_CORNERS = {
    **dict.fromkeys(("relu6", "leaky_relu", "leakyrelu", "prelu"), VARIANT),
    **dict.fromkeys(("hard_swish", "hard_silu", "hardsilu"), "hard swish"),
    **dict.fromkeys(("hard_sigmoid", "hardsigmoid"), "hard sigmoid"),
    **dict.fromkeys(("hard_tanh", "hardtanh"), "hard tanh"),
}
SMOOTH = ("silu", "gelu", "sigmoid", "tanh", "softplus", "softsign", "elu", "selu", "celu", "mish")


def half_huber(network: keras.Model) -> keras.Model:
    """Copies a network, with `HalfHuberReLU` instead of every ReLU.

    It replaces ReLU layers, relu as the activation of any layer, and the operation keras.ops.relu,
    also inside nested functional and Sequential models. Smooth activations and max pooling stay.
    The copy computes something else (h(a) = a − ¼ above ½), so it has to be trained.

    Args:
        network: a built functional or Sequential model.

    Returns:
        A new model of the same kind with copies of the weights.

    Raises:
        InputError: the model is subclassed, or a layer has ReLUs inside, which cannot be replaced;
            a ReLU has a ceiling, slope or threshold (ReLU6, leaky ReLU), for which there is no
            Half-Huber form; or there is no ReLU. `smoothed` leaves what it cannot replace.

    Source: arXiv 1906.02896, Methods, "Half-Huber ReLU".
    """
    return _exchanged(network, half_huber_relu, HalfHuberReLU).network


class Smoothed(NamedTuple):
    """What `smoothed` made of a network.

    Args:
        network: with other activations, or the network itself where nothing was exchanged.
        exchanged: the names of the layers and operations that were ReLUs.
        left: those that stay → which activation they are: `RELU` inside another layer, one of
            `WITH_CORNERS`, or of `SMOOTH`.
    """

    network: keras.Model
    exchanged: tuple[str, ...]
    left: dict[str, str]


def smoothed(network: keras.Model) -> Smoothed:
    """Exchanges ReLUs as `half_huber` does, and leaves those that it cannot exchange.

    Args:
        network: a Keras classifier of any kind. Layers that stay are shared with the result.
    """
    if has_graph(network):
        found = _exchanged(network, half_huber_relu, HalfHuberReLU, leave=True)
        return found if found.exchanged else found._replace(network=network)
    parts = network._flatten_layers(include_self=False)
    return Smoothed(network, (), {part.name: kind for part in parts if (kind := _kind(part))})


def softplus(network: keras.Model, *, sharpness: float) -> keras.Model:
    """Copies a network, with the softplus log(1 + exp(β·a))/β instead of every ReLU.

    The copy computes almost the same as the network. Unlike ReLUs, it has second derivatives.

    Args:
        network: a built functional or Sequential model.
        sharpness: β, above 0. The larger it is, the nearer softplus comes to ReLU.

    Returns:
        A new model of the same kind with copies of the weights. It cannot be saved.

    Raises:
        InputError: as for `half_huber`; or the sharpness is not above 0.

    Source: arXiv 1710.10547, which attacks explanations of ReLU networks through softplus.
    """
    if not sharpness > 0:
        raise InputError(f"expected a sharpness above 0, got {sharpness}")

    def sharp_softplus(inputs: tf.Tensor) -> tf.Tensor:
        return tf.nn.softplus(sharpness * inputs) / sharpness

    def as_layer(**options: Any) -> keras.layers.Layer:
        return keras.layers.Activation(sharp_softplus, **options)

    return _exchanged(network, sharp_softplus, as_layer).network


def _exchanged(
    network: keras.Model,
    activation: Callable[[tf.Tensor], tf.Tensor],
    layer: Callable[..., keras.layers.Layer],
    *,
    leave: bool = False,
) -> Smoothed:
    """Copies a network, with a smooth activation, or a layer of it, instead of every ReLU.

    Where one cannot be exchanged, it is left or refused.
    """
    if not isinstance(network, keras.Model) or not has_graph(network):
        raise InputError(
            "expected a built functional or Sequential model, whose layers can be exchanged, got "
            f"a {type(network).__name__}: write it with {activation.__name__}"
        )
    found: list[str] = []
    left: dict[str, str] = {}

    def exchanged(operation: keras.Operation) -> keras.Operation:
        kind = _kind(operation)
        if kind == RELU:
            found.append(operation.name)
            return _smooth_twin(operation, activation, layer)
        if kind:
            left[operation.name] = kind
        if not isinstance(operation, keras.layers.Layer):
            return operation
        for part in operation._flatten_layers(include_self=False):
            if kind := _kind(part):
                left[f"{part.name} inside the layer {operation.name}"] = kind
        # A stranger's layer may not say how it was made, and serves both where both may be one.
        return operation if leave else anew(operation)

    twin = copied(network, exchanged)
    if not leave:
        for name, kind in left.items():
            if kind in (RELU, VARIANT):
                raise InputError(
                    f"cannot exchange {name}, a {kind}: only a plain ReLU that is a layer of its "
                    "own, or a layer's activation, has a Half-Huber form here. Make it one, or "
                    f"write it with {activation.__name__}"
                )
        if not found:
            raise InputError(f"expected a network with ReLUs, got none in {network.name}")
    give_weights(twin, network.get_weights())
    return Smoothed(twin, tuple(found), left)


def full_precision(network: keras.Model, dtype: str = FULL) -> keras.Model:
    """Copies a network so that all layers compute in float32, as an exported network must.

    Args:
        network: a built functional or Sequential model, such as one that was trained in bfloat16.
        dtype: "float32", or "float64" for what the network would give if float32 did not round.

    Returns:
        A new model of the same kind with copies of the weights.
    """

    def input_of(tensor: keras.KerasTensor) -> keras.KerasTensor:
        floats = keras.backend.is_float_dtype(tensor.dtype)
        return keras.Input(
            batch_shape=tensor.shape, dtype=dtype if floats else tensor.dtype, name=tensor.name
        )

    def exchanged(operation: keras.Operation) -> keras.Operation:
        if not isinstance(operation, keras.layers.Layer):
            return operation
        return type(operation).from_config({**operation.get_config(), "dtype": dtype})

    # A model inside another casts what it is given to what its inputs were made for.
    twin = copied(network, exchanged, input_of)
    give_weights(twin, network.get_weights())
    return twin


def _kind(operation: keras.Operation) -> str:
    """Which activation a layer or an operation is or ends in; "" if none of those known here."""
    if isinstance(operation, keras.layers.ReLU):
        variant = operation.max_value is not None or operation.negative_slope or operation.threshold
        return VARIANT if variant else RELU
    is_layer = isinstance(operation, keras.layers.Layer)
    function = getattr(operation, "activation", None) if is_layer else None
    name = getattr(function, "__name__", type(operation).__name__).lower()
    if name == "relu":
        return RELU
    return name if name in SMOOTH else WITH_CORNERS.get(name, "")


def _smooth_twin(
    operation: keras.Operation,
    activation: Callable[[tf.Tensor], tf.Tensor],
    layer: Callable[..., keras.layers.Layer],
) -> keras.Operation:
    if not isinstance(operation, keras.layers.Layer):
        return layer()
    config = operation.get_config()
    if isinstance(operation, keras.layers.ReLU):
        return layer(name=operation.name, dtype=config["dtype"])
    # The activation stays inside its layer, so names, weights and their order stay as they are.
    return type(operation).from_config({**config, "activation": activation})
