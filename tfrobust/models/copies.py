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
        A new model with variables of its own, which is not compiled.

    Raises:
        InputError: a layer does not say how it was made, so that no other can be made like it.
    """

    def again(operation: keras.Operation) -> keras.Operation:
        if isinstance(operation, keras.layers.Lambda) or not isinstance(
            operation, keras.layers.Layer
        ):
            return operation  # it has no weights
        try:
            return anew(operation)
        except Exception as error:  # a layer's own code may raise anything
            raise InputError(
                f"expected a network that can be copied, but {operation.name} in {network.name}, a "
                f"{type(operation).__name__}, cannot be made anew: {reason_of(error)}. Its "
                "`get_config` must give all that its `__init__` takes"
            ) from error

    twin = copied(network, again)
    if not twin.built:
        twin.build_from_config(network.get_build_config())
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
            copy has for it. It is asked once for each. An operation that it leaves is made anew.
        input_of: an input of the network or of a model inside → the copy's. None for the same.

    Returns:
        A new functional or Sequential model, which is not compiled.
    """

    @functools.cache
    def twin(operation: keras.Operation) -> keras.Operation:
        if not isinstance(operation, keras.Model) or not _is_graph(operation):
            made = exchange(operation)
            return _unshared(operation) if made is operation else made
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
        # Its own flag, which says nothing of its layers'. Setting `trainable` would set theirs.
        copy._trainable = operation.trainable
        return copy

    return twin(network)


def anew(operation: keras.Operation) -> keras.Operation:
    """Another layer or operation that was made in the same way, with no weights yet."""
    return type(operation).from_config(operation.get_config())


def _unshared(operation: keras.Operation) -> keras.Operation:
    """A layer as it is; of an operation, which has no weights, another one where it can be made.

    An operation remembers every graph that it is in. A shared one would keep the copy, and all its
    weights, for as long as the network.
    """
    if isinstance(operation, keras.layers.Layer):
        return operation
    try:
        return anew(operation)
    except Exception:  # an operation's own code may raise anything
        return operation


def _is_graph(model: keras.Model) -> bool:
    """Whether a model can be made anew of its layers."""
    own_making = not type(model).__init__.__module__.startswith("keras.")
    return has_graph(model) or (bool(getattr(model, "outputs", None)) and not own_making)
