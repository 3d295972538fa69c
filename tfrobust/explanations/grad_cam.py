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

from tfrobust.attacks.base import Model
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
        self._layer(model)

    def _layer(self, model: Model) -> str:
        return _last_spatial_layer(model) if self.layer is None else _checked(model, self.layer)

    def attribution(self, model: Model, images: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
        """See `Method.attribution`: (B, H, W, 1)."""
        network: Any = model  # a Keras model: check_model has seen to it
        layer = network.get_layer(self._layer(model))
        both = keras.Model(network.inputs, [layer.output, network.outputs[0]])
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


def _is_spatial(layer: keras.layers.Layer) -> bool:
    if isinstance(layer, keras.layers.InputLayer | keras.Model):
        return False  # the image itself is no feature; a nested model's graph is its own
    try:
        shape = layer.output.shape
    except (AttributeError, ValueError):  # never called, or several outputs
        return False
    return len(shape) == 4 and shape[1:3] != (1, 1)


def _spatial_layers(network: Model) -> list[keras.layers.Layer]:
    return [layer for layer in getattr(network, "layers", []) if _is_spatial(layer)]


def _last_spatial_layer(network: Model) -> str:
    # What has the image's own shape is the image, normalised or augmented.
    names = [
        layer.name
        for layer in _spatial_layers(network)
        if tuple(layer.output.shape) != tuple(network.input_shape)  # type: ignore[attr-defined]
    ]
    if not names:
        raise InputError(
            "expected a Keras network with a layer whose output is (B, h, w, channels), larger "
            "than 1×1; Grad-CAM needs one"
        )
    return names[-1]


def _checked(network: Model, name: str) -> str:
    names = [layer.name for layer in _spatial_layers(network)]
    if name not in names:
        raise InputError(
            f"expected a layer with output (B, h, w, channels), such as {names[-3:]}, got {name!r}"
        )
    return name
