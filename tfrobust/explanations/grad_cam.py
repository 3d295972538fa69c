"""Where a layer's features speak for a class: Grad-CAM.

The weighted sum of features is tf-explain's. What it does otherwise is mended here: it takes one
class for a whole batch, and looks for the default layer by an attribute that Keras 3 has not. Its
default, "guided" gradients, drops those that are negative; here they are raw, as in the method's
paper. Its display stretches each map from minimum to maximum, so that even evidence against the
class lights up; here the weighted sum goes through a ReLU, is resized bilinearly, and divided by
its maximum. A map that is zero everywhere stays so.
"""

import dataclasses
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from tf_explain.core.grad_cam import GradCAM as _TfExplain

from tfrobust.core.opaque import Model
from tfrobust.errors import InputError
from tfrobust.explanations.base import MapMethod


@dataclasses.dataclass(frozen=True, kw_only=True)
class GradCAM(MapMethod):
    """Where a layer's features speak for a class.

    The model has to be a Keras model with named layers. The map is from 0 to 1.

    Args:
        layer: the name of a layer whose output is (B, h, w, channels); the last one larger
            than 1×1 when None.
        batch: images that the network sees at a time.

    Source: arXiv 1610.02391.
    """

    layer: str | None = None

    @property
    def name(self) -> str:
        """The method's name."""
        return "Grad-CAM"

    def check_model(self, model: Model) -> None:
        """Refuses a model without the layer, or without any that suits."""
        super().check_model(model)
        self._features(model)

    def _features(self, model: Model) -> Any:
        found = _spatial(model)
        return found[_last(model, found) if self.layer is None else _checked(found, self.layer)]

    def attribution(self, model: Model, images: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
        """See `Method.attribution`: (B, H, W, 1)."""
        network: Any = model  # a Keras model: check_model has seen to it
        both = keras.Model(network.inputs, [self._features(model), network.outputs[0]])
        # Weights are not watched: eager TensorFlow 2.21 on CPU died (SIGSEGV) in one of a
        # convolution's kernels on the way to gradients that nobody asked for.
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(images)
            features, logits = both(images)
            score = tf.gather(logits, targets, batch_dims=1)
        gradients = tape.gradient(score, features, unconnected_gradients="zero")
        sums = _TfExplain.generate_ponderated_output(
            tf.unstack(features, len(images)), tf.unstack(gradients, len(images))
        )
        evidence = tf.nn.relu(tf.cast(tf.stack(sums), tf.float32))[..., None]
        large = tf.image.resize(evidence, images.shape[1:3], method="bilinear")
        return tf.math.divide_no_nan(large, tf.reduce_max(large, axis=(1, 2, 3), keepdims=True))


def grad_cam(
    network: keras.Model, images: Any, targets: Any = None, *, layer: str | None = None
) -> np.ndarray:
    """The maps of `GradCAM`, without the record around them.

    Args:
        network: a Keras model with named layers, images → logits (B, K).
        images: float (N, H, W, C) in [0, 1].
        targets: int (N,) or a single int, the class explained; None or −1 for the predicted.
        layer: the name of a layer whose output is (B, h, w, channels); the last one larger
            than 1×1 when None.

    Returns:
        float32 (N, H, W) from 0 to 1.

    Raises:
        InputError: no such layer, images outside [0, 1], or a target that is no class.
    """
    return GradCAM(layer=layer)(network, images, targets).map


def _spatial(network: Model) -> dict[str, Any]:
    """What each layer gives that has places, by the layer's name and in the network's order.

    Asked of the network's own graph: `layer.output` is that of a layer's first use, which may be
    in another network. A nested model counts as one layer.
    """
    graph: Any = getattr(network, "_functional", None) or network
    found = {}
    depths = getattr(graph, "_nodes_by_depth", {})
    for depth in sorted(depths, reverse=True):
        for node in depths[depth]:
            shape = node.outputs[0].shape
            if not node.is_input and len(shape) == 4 and shape[1:3] != (1, 1):
                found[node.operation.name] = node.outputs[0]
    return found


def _last(network: Model, found: dict[str, Any]) -> str:
    # What has the image's own shape is the image, normalised or augmented.
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
