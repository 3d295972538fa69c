"""The activation that a Keras network ends with, and the tensor before it."""

from typing import NamedTuple

import keras

from tfrobust.core.layers import HalfHuberReLU
from tfrobust.errors import InputError

ADVICE = "take its last activation away, so that it gives logits"
# What `before_activation` takes off.
PROBABILITIES = ("softmax", "log_softmax", "sigmoid")
ACTIVATION_LAYERS = (
    keras.layers.ELU,
    keras.layers.LeakyReLU,
    keras.layers.PReLU,
    keras.layers.ReLU,
    HalfHuberReLU,
)
# Operations such as keras.ops.softmax, by the names of their classes.
ACTIVATION_OPERATIONS = {"LogSoftmax": "log_softmax"} | {
    name: name.lower()
    for name in ("Elu", "Relu", "Relu6", "Selu", "Sigmoid", "Softmax", "Softplus", "Tanh")
}
RESHAPING = (
    keras.layers.Activation,
    keras.layers.Flatten,
    keras.layers.Identity,
    keras.layers.Reshape,
)


def has_graph(model: keras.Model) -> bool:
    """Whether a model is what its graph of layers says: functional or Sequential, and built."""
    own_call = not type(model).call.__module__.startswith("keras.")
    return bool(getattr(model, "outputs", None)) and not own_call


def fresh_name(network: keras.Model, stem: str) -> str:
    """A name that no layer or operation of a network has, for one that is put beside them.

    Keras counts names up within a process, and knows nothing of those that a file brought.
    """
    graph = getattr(network, "_functional", None) or network
    names = {operation.name for operation in graph.operations}
    while stem in names:
        stem += "_"
    return stem


class Ending(NamedTuple):
    """How a network ends.

    Args:
        values: what comes before its last softmax, log-softmax or sigmoid; without one of these,
            its outputs.
        activation: the last activation's name; "linear" for none; None where it cannot be told.
    """

    values: keras.KerasTensor
    activation: str | None


def before_activation(outputs: keras.KerasTensor) -> Ending:
    """Takes the last activation off, whether it is a layer, an operation or a part of a layer.

    Args:
        outputs: of a functional or Sequential network.

    Raises:
        InputError: there is a softmax that cannot be taken off.
    """
    operation, node, _ = outputs._keras_history
    inputs = operation._inbound_nodes[node].input_tensors
    activation = _activation(operation)
    if activation in PROBABILITIES:
        if activation != "sigmoid":
            _check_axis(operation, outputs)
        if getattr(operation, "weights", None):
            return Ending(_linear_twin(operation)(inputs[0]), activation)
        return Ending(inputs[0], activation)
    if activation not in (None, "linear"):
        return Ending(outputs, activation)
    if isinstance(operation, RESHAPING):
        inner = before_activation(inputs[0])
        changed = inner.values is not inputs[0]
        return Ending(operation(inner.values) if changed else outputs, inner.activation)
    if isinstance(operation, keras.Model) and has_graph(operation):
        inner = before_activation(operation.outputs[0])
        if inner.values is operation.outputs[0]:
            return Ending(outputs, inner.activation)
        nested = keras.Model(operation.inputs, inner.values, name=operation.name)
        return Ending(nested(inputs), inner.activation)
    return Ending(outputs, activation)


def last_operation(outputs: keras.KerasTensor) -> keras.Operation:
    """What computes the outputs of a network, inside of a nested network and before what only
    arranges them."""
    operation, node, number = outputs._keras_history
    if isinstance(operation, RESHAPING) and _activation(operation) in (None, "linear"):
        return last_operation(operation._inbound_nodes[node].input_tensors[0])
    if isinstance(operation, keras.Model) and has_graph(operation):
        return last_operation(operation.outputs[number])
    return operation


def _activation(operation: keras.Operation) -> str | None:
    """The name of the activation that one of Keras' own operations ends with, if it is told."""
    kind = type(operation)
    if isinstance(operation, keras.layers.Softmax):
        return "softmax"
    if isinstance(operation, ACTIVATION_LAYERS):
        return kind.__name__
    if not kind.__module__.startswith("keras."):
        return None  # in others, an attribute `activation` may mean anything
    if not isinstance(operation, keras.layers.Layer):
        return ACTIVATION_OPERATIONS.get(kind.__name__)
    return getattr(getattr(operation, "activation", None), "__name__", None)


def _check_axis(operation: keras.Operation, outputs: keras.KerasTensor) -> None:
    rank = len(outputs.shape)
    axis = getattr(operation, "axis", -1)
    if axis not in (-1, rank - 1) or any(size != 1 for size in outputs.shape[1:-1]):
        raise InputError(
            f"expected a last softmax over the K classes, got one of {outputs.shape} over axis "
            f"{axis} ({operation.name}): {ADVICE}"
        )


def _linear_twin(layer: keras.layers.Layer) -> keras.layers.Layer:
    """A layer on the same weights that does without the activation."""
    own = {name: value for name, value in vars(layer).items() if isinstance(value, keras.Variable)}
    if len(own) != len(layer.weights):
        raise InputError(f"cannot leave out the softmax of {layer.name}: {ADVICE}")
    # A trainable twin of frozen weights is frozen, until they are not.
    changed = {"activation": "linear", "trainable": True}
    twin = type(layer).from_config({**layer.get_config(), **changed})
    for name, variable in own.items():
        setattr(twin, name, variable)
    twin.built = True  # or Keras would make new weights
    return twin
