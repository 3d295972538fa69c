"""Any Keras classifier as a plain network that gives logits, on the classifier's own weights."""

import keras
import numpy as np

from tfrobust.core.layers import HalfHuberReLU
from tfrobust.errors import InputError

ADVICE = "take its last activation away, so that it gives logits"
ONE = (
    "Of two classes make two logits, 0 and the one before the sigmoid: "
    "keras.layers.Concatenate()([0 * one, one])"
)
SOFTMAX = ("softmax", "log_softmax")
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
FREE_SIDE = 64  # of a probe's images, where the network leaves it open


def logits_network(network: keras.Model) -> keras.Model:
    """The plain network that gives a classifier's logits, on the classifier's own weights.

    A last softmax is left out, whether it is a layer, an operation or the activation of the last
    layer. A network without one stays as it is. A subclassed model cannot be looked into: it
    becomes the one layer of a functional network, and is refused where its answers to a few
    images look like probabilities.

    Args:
        network: a built functional, Sequential or subclassed Keras model, float images
            (B, …) → logits or probabilities (B, K).

    Returns:
        A functional or Sequential model, images → logits (B, K). It is `network` itself where
        that is one already. Both share their weights: training the one trains the other.

    Raises:
        InputError: it is no Keras model, it is not built, it has several inputs or outputs, its
            output is not (B, K), or it ends in neither logits nor a softmax that can be left out.
    """
    if not isinstance(network, keras.Model):
        raise InputError(f"expected a Keras model, got a {type(network).__name__}")
    network = unwrapped(network)
    if not has_graph(network):
        network = _wrapped(network)
    if len(network.inputs) != 1 or len(network.outputs) != 1:
        raise InputError(
            f"expected a network from images to logits (B, K), got {len(network.inputs)} inputs "
            f"and {len(network.outputs)} outputs"
        )
    images, outputs = network.inputs[0], network.outputs[0]
    if outputs.shape[1:] == (1,):
        raise InputError(
            f"expected a network whose output is logits (B, K), K ≥ 2, got {outputs.shape}. {ONE}"
        )
    if len(outputs.shape) != 2 or outputs.shape[-1] is None:
        raise InputError(
            f"expected a network whose output is logits (B, K), K ≥ 2, got {outputs.shape}"
        )
    logits, known = _without_softmax(outputs)
    if logits.dtype != outputs.dtype:  # a float32 softmax on half precision
        logits = keras.layers.Activation("linear", dtype=outputs.dtype)(logits)
    listed = (network.input_shape, network.output_shape) != (images.shape, outputs.shape)
    if logits is not outputs or listed:  # listed: its input or output comes in a list or mapping
        network = keras.Model(images, logits, name=network.name)
    if not known:
        _probe(network)
    return network


def unwrapped(network: keras.Model) -> keras.Model:
    """The network that a `RobustClassifier` trains, and any other model as it is."""
    # By its name, because what trains stands on this room.
    names = map(keras.saving.get_registered_name, type(network).__mro__)
    return network.network if "tfrobust>RobustClassifier" in names else network


def with_input_range(network: keras.Model, low: float, high: float) -> keras.Model:
    """A network of pixels from 0 to 1, made of one of pixels from `low` to `high`.

    Args:
        network: what `logits_network` gave.
        low: its lowest pixel.
        high: its highest pixel.

    Returns:
        A functional model with the same layers behind a `Rescaling`. It shares its weights.
    """
    images = keras.Input(network.input_shape[1:], name="images")
    # In float32 whatever the policy: half precision would round pixels to fewer than 8 bits.
    pixels = keras.layers.Rescaling(high - low, offset=low, dtype="float32")(images)
    # Its layers one by one and not as one nested model, so that Grad-CAM finds them.
    graph = getattr(network, "_functional", None) or network
    outputs = graph._run_through_graph(pixels, operation_fn=lambda operation: operation)
    return keras.Model(images, outputs, name=network.name)


def last_activation(network: keras.Model) -> str:
    """The name of the activation that a classifier's outputs come from, as Keras names it.

    Args:
        network: as for `logits_network`.

    Returns:
        "linear" where the outputs are logits, or where the network cannot be looked into.
    """
    if not has_graph(network):
        return "linear"
    outputs = network.outputs[0]
    while True:
        operation, node, _ = outputs._keras_history
        activation = _activation(operation)
        if activation not in (None, "linear"):
            return activation
        if isinstance(operation, RESHAPING):
            outputs = operation._inbound_nodes[node].input_tensors[0]
        elif isinstance(operation, keras.Model) and has_graph(operation):
            outputs = operation.outputs[0]
        else:
            return "linear"


def has_graph(model: keras.Model) -> bool:
    """Whether a model is what its graph of layers says: functional or Sequential, and built."""
    own_call = not type(model).call.__module__.startswith("keras.")
    return bool(getattr(model, "outputs", None)) and not own_call


def _wrapped(network: keras.Model) -> keras.Model:
    """A functional network of one layer: the subclassed model."""
    built_on = network.get_build_config() if network.built else None
    shape = (built_on or {}).get("input_shape")
    if not shape:
        raise InputError(
            "expected a network built on one input, so that its shapes are known: call it once on "
            f"a batch of images; got {network.name}, built on {built_on}"
        )
    images = keras.Input(tuple(shape[1:]), name="images")
    return keras.Model(images, network(images), name=network.name)


def _without_softmax(outputs: keras.KerasTensor) -> tuple[keras.KerasTensor, bool]:
    """The tensor behind a last softmax, and whether what made `outputs` is known to be linear."""
    operation, node, _ = outputs._keras_history
    inputs = operation._inbound_nodes[node].input_tensors
    activation = _activation(operation)
    if activation in SOFTMAX:
        _check_axis(operation, outputs)
        if getattr(operation, "weights", None):
            return _linear_twin(operation)(inputs[0]), True
        return inputs[0], True
    if activation not in (None, "linear"):
        raise InputError(
            f"expected logits or a softmax, got a network that ends with {activation} "
            f"({operation.name}): {ADVICE}. Its classes must exclude one another"
        )
    if isinstance(operation, RESHAPING):
        inner, known = _without_softmax(inputs[0])
        return (outputs if inner is inputs[0] else operation(inner)), known
    if isinstance(operation, keras.Model) and has_graph(operation):
        inner, known = _without_softmax(operation.outputs[0])
        if inner is operation.outputs[0]:
            return outputs, known
        return keras.Model(operation.inputs, inner, name=operation.name)(inputs), known
    return outputs, activation == "linear"


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


def _probe(network: keras.Model) -> None:
    """Refuses a network whose outputs are probabilities."""
    shape = [4, *(size or FREE_SIDE for size in network.input_shape[1:])]
    images = np.random.default_rng(0).random(shape, np.float32)
    outputs = np.asarray(keras.ops.cast(network(images, training=False), "float32"))
    # Half precision's rounding, K times over; logits do not come near by chance.
    if (outputs >= 0).all() and np.allclose(outputs.sum(axis=-1), 1, atol=1e-2):
        raise InputError(
            "expected logits, got a network whose outputs are probabilities (none negative, of "
            f"sum 1), from a softmax that cannot be found: {ADVICE}"
        )
