"""Other explanations, from tf-explain, to set beside the adversarial ones."""

import warnings
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from tf_explain.core.grad_cam import GradCAM

from tfrobust.attacks.base import check_images
from tfrobust.errors import InputError
from tfrobust.explanations.adversarial import check_targets, chosen_targets


def grad_cam(
    network: keras.Model, images: Any, targets: Any = None, *, layer: str | None = None
) -> np.ndarray:
    """Where a layer's features speak for a class: Grad-CAM (arXiv 1610.02391).

    tf-explain computes the gradients and the weighted sum; what its own pictures do otherwise
    is left out. Its default, "guided" gradients, drops those that are negative; here they are
    raw, as in the method's paper. Its display stretches each map from minimum to maximum, so
    that even evidence against the class lights up; here the weighted sum goes through a ReLU,
    is resized bilinearly, and divided by its maximum. A map that is zero everywhere stays so.

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
    images = np.asarray(images, np.float32)
    check_images(images, np.zeros(images.shape[:1]))
    layer = _last_spatial_layer(network) if layer is None else _checked_layer(network, layer)
    classes = chosen_targets(targets, len(images))
    check_targets(classes, network.output_shape[-1])
    # tf-explain asks for `output`, which a Sequential network has not.
    functional = keras.Model(network.inputs, network.outputs[0])

    # As a graph, which drops the gradients for weights that tf-explain's tape records in vain:
    # eager TensorFlow 2.21 on CPU died (SIGSEGV) in one of a convolution's kernel. tf-explain
    # takes one class for a batch, so images go one by one.
    @tf.function(autograph=False)
    def map_of(image: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
        predicted = tf.argmax(network(image)[0], output_type=tf.int32)
        target = tf.where(target < 0, predicted, target)
        features, gradients = GradCAM.get_gradients_and_filters(
            functional, image, layer, target, use_guided_grads=False
        )
        weighted = GradCAM.ponderate_output(features[0], gradients[0])
        evidence = tf.nn.relu(tf.cast(weighted, tf.float32))[..., None]
        return tf.image.resize(evidence, images.shape[1:3], method="bilinear")[..., 0]

    maps = np.zeros(images.shape[:3], np.float32)
    with warnings.catch_warnings():
        # tf-explain nests its list of inputs once more than Keras 3 likes.
        warnings.filterwarnings("ignore", message="The structure of `inputs`")
        for row, image in enumerate(images):
            maps[row] = map_of(tf.constant(image[None]), tf.constant(classes[row]))
    largest = maps.max(axis=(1, 2), keepdims=True)
    return maps / np.where(largest > 0, largest, 1)


def _is_spatial(layer: keras.layers.Layer) -> bool:
    if isinstance(layer, keras.layers.InputLayer | keras.Model):
        return False  # the image itself is no feature; a nested model's graph is its own
    try:
        shape = layer.output.shape
    except (AttributeError, ValueError):  # never called, or several outputs
        return False
    return len(shape) == 4 and shape[1:3] != (1, 1)


def _spatial_layers(network: keras.Model) -> list[keras.layers.Layer]:
    return [layer for layer in getattr(network, "layers", []) if _is_spatial(layer)]


def _last_spatial_layer(network: keras.Model) -> str:
    # What has the image's own shape is the image, normalised or augmented.
    names = [
        layer.name
        for layer in _spatial_layers(network)
        if tuple(layer.output.shape) != tuple(network.input_shape)
    ]
    if not names:
        raise InputError(
            "expected a Keras network with a layer whose output is (B, h, w, channels), larger "
            "than 1×1; Grad-CAM needs one"
        )
    return names[-1]


def _checked_layer(network: keras.Model, name: str) -> str:
    names = [layer.name for layer in _spatial_layers(network)]
    if name not in names:
        raise InputError(
            f"expected a layer with output (B, h, w, channels), such as {names[-3:]}, got {name!r}"
        )
    return name
