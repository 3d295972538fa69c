"""Score-CAM: a layer's features, each weighted by the logit that its own place leaves."""

import dataclasses
from typing import ClassVar

import tensorflow as tf

from tfrobust.core.classifier import Classifier
from tfrobust.explanations.feature_layer import FeatureMethod, shown_large
from tfrobust.explanations.masked import MaskMethod, Plan


@dataclasses.dataclass(frozen=True, kw_only=True)
class ScoreCAM(FeatureMethod, MaskMethod):
    """Where a layer's features speak for a class, judged without its gradient, from 0 to 1.

    Each channel of the layer, enlarged and stretched to [0, 1], is a mask of the image. The
    softmax over channels of the target's logits weighs the channels. As in the paper's algorithm
    the logit of a baseline is taken off first, which the softmax does not see. The network must
    be a Keras model.

    Args:
        layer: the name of a layer whose output is (B, h, w, channels). None takes the last layer
            whose output is larger than 1×1. It may be inside a nested model.
        fill: the value of hidden pixels, from 0 to 1.
        batch_size: masked images that the network sees at a time.

    Source: Wang et al., arXiv 1910.01279, algorithm 1.
    """

    name: ClassVar[str] = "Score-CAM"

    def plan(self, model: Classifier, images: tf.Tensor) -> Plan:
        """The layer's features, a channel a mask: float32 (S, h, w)."""
        features = self.with_features(model)(images, training=False)[0]
        return (tf.transpose(tf.cast(features[0], tf.float32), (2, 0, 1)),)

    def masks(self, plan: Plan, height: int, width: int) -> tf.Tensor:
        """See `MaskMethod.masks`: channels that are the same everywhere hide all."""
        large = tf.image.resize(plan[0][..., None], (height, width), method="bilinear")[..., 0]
        low = tf.reduce_min(large, axis=(1, 2), keepdims=True)
        high = tf.reduce_max(large, axis=(1, 2), keepdims=True)
        return tf.math.divide_no_nan(large - low, high - low)

    def score(self, logits: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
        """The target's logit."""
        return tf.gather(logits, targets, batch_dims=1)

    def combined(self, plan: Plan, scores: tf.Tensor, height: int, width: int) -> tf.Tensor:
        """See `MaskMethod.combined`."""
        weights = tf.nn.softmax(tf.convert_to_tensor(scores))
        return shown_large(tf.tensordot(weights, plan[0], 1)[None], height, width)
