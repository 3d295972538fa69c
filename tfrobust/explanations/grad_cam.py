"""Grad-CAM: where a layer's features speak for a class.

As in the method's paper, features are weighted by the mean of their gradients. The weighted sum
goes through a ReLU and is resized bilinearly. Each map is then divided by its maximum. A map that
is zero everywhere stays zero.
"""

import dataclasses
from typing import Any, ClassVar

import keras
import tensorflow as tf

from tfrobust.core.classifier import Classifier
from tfrobust.errors import InputError
from tfrobust.explanations import tf_explain
from tfrobust.explanations.base import MapMethod


@dataclasses.dataclass(frozen=True, kw_only=True)
class GradCAM(MapMethod):
    """Where a layer's features speak for a class, from 0 to 1.

    The network must be a Keras model with named layers.

    Args:
        layer: the name of a layer whose output is (B, h, w, channels). None takes the last layer
            whose output is larger than 1×1. It may be inside a nested model.
        batch_size: images that the network sees at a time.

    Source: arXiv 1610.02391.
    """

    name: ClassVar[str] = "Grad-CAM"

    layer: str | None = None

    def check_model(self, model: Classifier) -> None:
        """Refuses a model without that layer, or without any layer that suits."""
        super().check_model(model)
        self._features(model.network)

    def _features(self, network: keras.Model | None) -> tuple[Any, keras.KerasTensor]:
        """The network, with nested models opened if need be, and the output of the layer in it."""
        found = _spatial(network)
        if not (self.layer in found if self.layer else _names(network, found)):
            network = _opened(network)
            found = _spatial(network)
        name = _last(network, found) if self.layer is None else _checked(found, self.layer)
        return network, found[name]

    def attribution(self, model: Classifier, images: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
        """See `Method.attribution`: (B, H, W, 1)."""
        network, output = self._features(model.network)  # check_model has seen that there is one
        both = keras.Model(network.inputs, [output, network.outputs[0]])
        # Weights are not watched. With them TensorFlow 2.21 died (SIGSEGV) on a CPU, in a kernel
        # for gradients of a convolution's weights, which nobody needs here.
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(images)
            features, logits = both(images, training=False)
            score = tf.gather(logits, targets, batch_dims=1)
        gradients = tape.gradient(score, features, unconnected_gradients="zero")
        sums = tf_explain.weighted_features(features, gradients)
        evidence = tf.nn.relu(tf.cast(sums, tf.float32))[..., None]
        large = tf.image.resize(evidence, images.shape[1:3], method="bilinear")
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
            if not node.is_input and len(shape) == 4 and shape[1:3] != (1, 1):
                found[node.operation.name] = node.outputs[0]
    return found


def _opened(network: keras.Model | None) -> keras.Model | None:
    """The network with the layers of nested models in their places. It shares its weights."""
    graph: Any = getattr(network, "_functional", None) or network
    if not hasattr(graph, "_run_through_graph"):
        return network

    def inside(operation: Any) -> Any:
        nested: Any = getattr(operation, "_functional", None) or operation
        if not (isinstance(operation, keras.Model) and hasattr(nested, "_run_through_graph")):
            return operation
        return lambda values, **_: nested._run_through_graph(values, operation_fn=inside)

    images = keras.Input(batch_shape=graph.inputs[0].shape, dtype=graph.inputs[0].dtype)
    return keras.Model(images, graph._run_through_graph(images, operation_fn=inside))


def _names(network: keras.Model | None, found: dict[str, Any]) -> list[str]:
    # An output of the image's own shape is the image itself, normalised or augmented.
    images = tuple(getattr(network, "input_shape", ()))
    return [name for name, output in found.items() if tuple(output.shape) != images]


def _last(network: keras.Model | None, found: dict[str, Any]) -> str:
    names = _names(network, found)
    if not names:
        raise InputError(
            "expected a Keras network with a layer whose output is (B, h, w, channels), larger "
            "than 1×1; Grad-CAM needs one"
        )
    return names[-1]


def _checked(found: dict[str, Any], name: str) -> str:
    if name not in found:
        raise InputError(
            f"expected a layer with output (B, h, w, channels), such as {list(found)[-3:]}, got "
            f"{name!r}"
        )
    return name
