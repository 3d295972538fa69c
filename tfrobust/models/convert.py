"""Converts a network into another with the same weights: with a smooth ReLU, or in float32."""

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from tfrobust.core.layers import HalfHuberReLU, half_huber_relu
from tfrobust.core.logits import has_graph
from tfrobust.core.logits import logits_network as logits_network  # one of the converters
from tfrobust.errors import InputError

FULL = "float32"
RELUS = ("relu", "Relu")  # the activation, and the operation keras.ops.relu
VARIANTS = ("relu6", "Relu6", "leaky_relu", "LeakyRelu")
VARIANT_LAYERS = (keras.layers.LeakyReLU, keras.layers.PReLU)


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
            Half-Huber form; or there is no ReLU.

    Source: arXiv 1906.02896, Methods, "Half-Huber ReLU".
    """
    return _exchanged(network, half_huber_relu, HalfHuberReLU)


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

    return _exchanged(network, sharp_softplus, as_layer)


def _exchanged(
    network: keras.Model,
    activation: Callable[[tf.Tensor], tf.Tensor],
    layer: Callable[..., keras.layers.Layer],
) -> keras.Model:
    """Copies a network, with a smooth activation, or a layer of it, instead of every ReLU."""
    if not isinstance(network, keras.Model) or not has_graph(network):
        raise InputError(
            "expected a built functional or Sequential model, whose layers can be exchanged, got "
            f"a {type(network).__name__}: write it with {activation.__name__}"
        )
    found = []

    def exchanged(operation: keras.Operation) -> keras.Operation:
        if _is_relu(operation):
            found.append(operation.name)
            return _smooth_twin(operation, activation, layer)
        if not isinstance(operation, keras.layers.Layer):
            return operation  # It has no weights, so both networks may use it.
        for part in operation._flatten_layers(include_self=False):
            if _is_relu(part):
                raise InputError(
                    f"cannot exchange the ReLU {part.name} inside the layer {operation.name}: "
                    f"write that layer with {activation.__name__}"
                )
        return type(operation).from_config(operation.get_config())

    twin = keras.models.clone_model(network, clone_function=exchanged, recursive=True)
    if not found:
        raise InputError(f"expected a network with ReLUs, got none in {network.name}")
    twin.set_weights(network.get_weights())
    return twin


def full_precision(network: keras.Model) -> keras.Model:
    """Copies a network so that all layers compute in float32, as an exported network must.

    Args:
        network: a built functional or Sequential model, such as one that was trained in bfloat16.

    Returns:
        A new model of the same kind with copies of the weights.
    """

    def exchanged(operation: keras.Operation) -> keras.Operation:
        if not isinstance(operation, keras.layers.Layer):
            return operation
        return type(operation).from_config({**operation.get_config(), "dtype": FULL})

    twin = keras.models.clone_model(network, clone_function=exchanged, recursive=True)
    twin.set_weights(network.get_weights())
    return twin


def _is_relu(operation: keras.Operation) -> bool:
    if isinstance(operation, keras.layers.ReLU):
        relu = True
        variant = operation.max_value is not None or operation.negative_slope or operation.threshold
    else:
        is_layer = isinstance(operation, keras.layers.Layer)
        named = getattr(operation, "activation", None) if is_layer else type(operation)
        name = getattr(named, "__name__", None)
        relu = name in RELUS
        variant = name in VARIANTS or isinstance(operation, VARIANT_LAYERS)
    if variant:
        raise InputError(
            f"expected plain ReLUs, got {operation.name} with a ceiling, slope or threshold, for "
            "which there is no Half-Huber form: make it a plain ReLU first"
        )
    return relu


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
