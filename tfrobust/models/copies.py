"""Copies of networks with some layers exchanged."""

import functools
from collections.abc import Callable
from typing import Any

import keras

from tfrobust.core.logits import has_graph

InputOf = Callable[[keras.KerasTensor], keras.KerasTensor]


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
