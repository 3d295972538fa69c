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
            whose output is larger than 1×1.
        batch_size: images that the network sees at a time.

    Source: arXiv 1610.02391.
    """

    name: ClassVar[str] = "Grad-CAM"

    layer: str | None = None

    def check_model(self, model: Classifier) -> None:
        """Refuses a model without that layer, or without any layer that suits."""
        super().check_model(model)
        self._features(model.network)

    def _features(self, network: keras.Model | None) -> keras.KerasTensor:
        found = _spatial(network)
        return found[_last(network, found) if self.layer is None else _checked(found, self.layer)]

    def attribution(self, model: Classifier, images: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
        """See `Method.attribution`: (B, H, W, 1)."""
        network: Any = model.network  # check_model has seen that there is one
        both = keras.Model(network.inputs, [self._features(network), network.outputs[0]])
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


def _last(network: keras.Model | None, found: dict[str, Any]) -> str:
    # An output of the image's own shape is the image itself, normalised or augmented.
    images = tuple(getattr(network, "input_shape", ()))
    names = [name for name, output in found.items() if tuple(output.shape) != images]
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
