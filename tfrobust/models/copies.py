"""Copies of networks, whole or with some layers exchanged."""

import functools
from collections.abc import Callable
from typing import Any

import keras

from tfrobust.core.logits import has_graph
from tfrobust.errors import InputError, reason_of
from tfrobust.models.weights import give_weights

InputOf = Callable[[keras.KerasTensor], keras.KerasTensor]


def duplicate(network: keras.Model) -> keras.Model:
    """Copies a network with all its layers and weights, so that the copy can be changed.

    Args:
        network: a built functional or Sequential model, or one whose class says how it was made.

    Returns:
        A new model of the same kind, which is not compiled.

    Raises:
        InputError: a layer does not say how it was made, so that no other can be made like it.
    """

    def again(operation: keras.Operation) -> keras.Operation:
        if not isinstance(operation, keras.layers.Layer):
            return operation  # It has no weights, so both networks may use it.
        try:
            return type(operation).from_config(operation.get_config())
        except Exception as error:  # whatever a class of one's own may raise
            raise InputError(
                f"expected a network that can be copied, but {operation.name} in {network.name}, a "
                f"{type(operation).__name__}, cannot be made anew: give it a `get_config` with all "
                f"that its `__init__` takes ({reason_of(error)})"
            ) from error

    twin = copied(network, again)
    give_weights(twin, network.get_weights())
    return twin


def copied(
    network: keras.Model,
    exchange: Callable[[keras.Operation], keras.Operation],
    input_of: InputOf | None = None,
) -> keras.Model:
    """Copies the graph of a network and of the models inside it, layer by layer.

    `keras.models.clone_model` does so, too, but it makes a plain Sequential model of one whose
    class has a `call` of its own, which gives other answers; and it compiles the copy, which fails
    with a loss of one's own.

    Args:
        network: a built functional or Sequential model.
        exchange: a layer, an operation, or a model that only its own code can make → what the
            copy has for it. It is asked once for each.
        input_of: an input of the network or of a model inside → the copy's. None for the same.

    Returns:
        A new model of the same kind, which is not compiled.
    """

    @functools.cache
    def twin(operation: keras.Operation) -> keras.Operation:
        if not isinstance(operation, keras.Model) or not _is_graph(operation):
            return exchange(operation)
        inputs: Any = None
        if input_of is not None:
            is_sequential = isinstance(operation, keras.Sequential)
            given = operation.inputs[0] if is_sequential else operation.input
            inputs = keras.tree.map_structure(input_of, given)
        compiled, operation.compiled = operation.compiled, False
        try:
            copy = keras.models.clone_model(operation, inputs, clone_function=twin)
        finally:
            operation.compiled = compiled
        if isinstance(operation, keras.Sequential) and not has_graph(operation):
            parts = [copy.inputs[0], *copy.layers]
            return type(operation)(parts, name=operation.name, trainable=operation.trainable)
        return copy

    return twin(network)


def _is_graph(model: keras.Model) -> bool:
    """Whether a model can be made anew of its layers."""
    own_making = not type(model).__init__.__module__.startswith("keras.")
    return has_graph(model) or (bool(getattr(model, "outputs", None)) and not own_making)
