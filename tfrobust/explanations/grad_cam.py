"""Grad-CAM: where a layer's features speak for a class.

As in the method's paper, features are weighted by the mean of their gradients. The weighted sum
goes through a ReLU and is resized bilinearly. Each map is then divided by its maximum. A map that
is zero everywhere stays zero.
"""

import dataclasses
from typing import ClassVar

import tensorflow as tf

from tfrobust.core.classifier import Classifier
from tfrobust.explanations import tf_explain
from tfrobust.explanations.feature_layer import FeatureMethod, shown_large


@dataclasses.dataclass(frozen=True, kw_only=True)
class GradCAM(FeatureMethod):
    """Where a layer's features speak for a class, from 0 to 1.

    The network must be a Keras model with named layers.

    Args:
        layer: the name of a layer whose output is (B, h, w, channels). None takes the last layer
            whose output is larger than 1×1. It may be inside a nested model.
        batch_size: images that the network sees at a time.

    Source: arXiv 1610.02391.
    """

    name: ClassVar[str] = "Grad-CAM"

    def attribution(self, model: Classifier, images: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
        """See `Method.attribution`: (B, H, W, 1)."""
        both = self.with_features(model)
        # Weights are not watched. With them TensorFlow 2.21 died (SIGSEGV) on a CPU, in a kernel
        # for gradients of a convolution's weights, which nobody needs here.
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(images)
            features, logits = both(images, training=False)
            score = tf.gather(logits, targets, batch_dims=1)
        gradients = tape.gradient(score, features, unconnected_gradients="zero")
        return shown_large(tf_explain.weighted_features(features, gradients), *images.shape[1:3])
