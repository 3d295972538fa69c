"""What methods that look at the features of a layer share: how the layer is found."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

from tfrobust.core.classifier import Classifier
from tfrobust.errors import InputError
from tfrobust.explanations.base import MapMethod


@dataclasses.dataclass(frozen=True, kw_only=True)
class FeatureMethod(MapMethod):
    """A method that looks at a layer's features. The network must be a Keras model.

    Args:
        layer: the name of a layer whose output is (B, h, w, channels). None takes the last layer
            whose output is larger than 1×1. It may be inside a nested model.
        batch_size: images that the network sees at a time.
    """

    layer: str | None = None

    def check_model(self, model: Classifier) -> None:
        """Refuses a model without that layer, or without any layer that suits."""
        super().check_model(model)
        self._features(model.network)

    def with_features(self, model: Classifier) -> keras.Model:
        """A network that shares the model's weights: images → the layer's features and logits."""
        network, output = self._features(model.network)  # check_model has seen that there is one
        return keras.Model(network.inputs, [output, network.outputs[0]])

    def _features(self, network: keras.Model | None) -> tuple[Any, keras.KerasTensor]:
        """The network, with nested models opened if need be, and the output of the layer in it."""
        found = _spatial(network)
        if not (self.layer in found if self.layer else _names(network, found)):
            network = opened(network)
            found = _spatial(network)
        if self.layer is None:
            return network, found[_last(network, found, self.name)]
        return network, found[_checked(found, self.layer)]


def feature_layers(
    model: Classifier, names: Sequence[str] | None
) -> tuple[keras.Model, dict[str, keras.KerasTensor]]:
    """Layers with features at places, and a network in which they are.

    Args:
        model: has a Keras network behind it.
        names: which layers; None for the last one of each height and width.

    Returns:
        The network, images → logits, with nested models opened if need be; and the layers' outputs
        (B, h, w, channels) in it, by name.

    Raises:
        InputError: the network's layers are not known, or one is not among them.
    """
    network = model.network
    found = _spatial(network)
    if not set(names if names is not None else _names(network, found)[:1] or [""]) <= set(found):
        network = opened(network)
        found = _spatial(network)
    if names is not None:
        return network, {_checked(found, name): found[name] for name in names}
    _last(network, found, "dissection")
    of_size = {found[name].shape[1:3]: name for name in _names(network, found)}
    return network, {name: found[name] for name in of_size.values()}


def shown_large(evidence: tf.Tensor, height: int, width: int) -> tf.Tensor:
    """Sums of features as a map: what speaks for the class, resized, from 0 to 1.

    Args:
        evidence: (B, h, w), with signs.
        height, width: of the images.

    Returns:
        float32 (B, height, width, 1); a map without evidence stays zero.
    """
    evidence = tf.nn.relu(tf.cast(evidence, tf.float32))[..., None]
    large = tf.image.resize(evidence, (height, width), method="bilinear")
    return tf.math.divide_no_nan(large, tf.reduce_max(large, axis=(1, 2, 3), keepdims=True))


def _spatial(network: keras.Model | None) -> dict[str, Any]:
    """The outputs of layers that have height and width, by name and in the network's order.

    They are read from the network's own graph, as `layer.output` is that of a layer's first use,
    which may be in another network. A nested model counts as one layer.
    """
    graph: Any = getattr(network, "_functional", None) or network
    for operation in getattr(graph, "operations", ()):
        if getattr(operation, "data_format", None) == "channels_first":
            raise InputError(
                f"expected layers of (B, h, w, channels), but {operation.name} has the channels "
                "first; explain the network with explain or VanillaGradients"
            )
    found = {}
    depths = getattr(graph, "_nodes_by_depth", {})
    for depth in sorted(depths, reverse=True):
        for node in depths[depth]:
            shape = node.outputs[0].shape
            if isinstance(node.operation, keras.layers.ZeroPadding2D):
                continue  # it shows nothing new
            if not node.is_input and len(shape) == 4 and shape[1:3] != (1, 1):
                found[node.operation.name] = node.outputs[0]
    return found


def opened(network: keras.Model | None) -> keras.Model | None:
    """The network with the layers of nested models in their places. It shares its weights."""
    graph: Any = getattr(network, "_functional", None) or network
    if not hasattr(graph, "_run_through_graph"):
        return network

    def inside(operation: Any) -> Any:
        nested: Any = getattr(operation, "_functional", None) or operation
        if not (isinstance(operation, keras.Model) and hasattr(nested, "_run_through_graph")):
            return operation
        return lambda values, **_: nested._run_through_graph(values, operation_fn=inside)

    return run_through(network, inside)


def run_through(network: Any, replace: Callable[[Any], Any]) -> keras.Model:
    """A network with other operations in the places of its own, which shares its weights.

    Args:
        network: with a graph of layers, such as a functional model.
        replace: an operation → what is called in its stead.
    """
    graph: Any = getattr(network, "_functional", None) or network
    images = keras.Input(batch_shape=graph.inputs[0].shape, dtype=graph.inputs[0].dtype)
    return keras.Model(images, graph._run_through_graph(images, operation_fn=replace))


def _names(network: keras.Model | None, found: dict[str, Any]) -> list[str]:
    # An output of the image's own shape is the image itself, normalised or augmented.
    images = tuple(getattr(network, "input_shape", ()))
    return [name for name, output in found.items() if tuple(output.shape) != images]


def _last(network: keras.Model | None, found: dict[str, Any], method: str) -> str:
    names = _names(network, found)
    if not names:
        raise InputError(
            "expected a Keras network with a layer whose output is (B, h, w, channels), larger "
            f"than 1×1; {method} needs one"
        )
    return names[-1]


def _checked(found: dict[str, Any], name: str) -> str:
    if name not in found:
        raise InputError(
            f"expected a layer with output (B, h, w, channels), such as {list(found)[-3:]}, got "
            f"{name!r}"
        )
    return name
