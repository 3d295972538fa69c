"""Learned attention: a network says itself at which places it looked."""

from typing import Any

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable(package="tfrobust")
class AttentionPooling(keras.layers.Layer):
    """The mean of features over all places, by weights that the network gives the places.

    A place i has the weight softmaxᵢ(lᵢ·(W g)/√C), where lᵢ are its C features and g the mean of
    those of all places. W starts at zero, so that a network begins with the plain mean.

    Input (B, h, w, C), output (B, 1, 1, C).

    Source: Jetley et al., arXiv 1804.02391, section 3, with the compatibility "dp"; W is ours.
    """

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Makes W (C, C)."""
        channels = input_shape[-1]
        self.kernel = self.add_weight(
            name="kernel", shape=(channels, channels), initializer="zeros"
        )

    def attention(self, features: tf.Tensor) -> tf.Tensor:
        """The weights of the places: (B, h, w, C) → (B, h, w, 1), which sum to 1."""
        whole = tf.reduce_mean(features, axis=(1, 2))
        asked = tf.matmul(whole, tf.cast(self.kernel, features.dtype))[:, None, None, :]
        scores = tf.reduce_sum(features * asked, axis=-1, keepdims=True)
        scores /= tf.sqrt(tf.cast(features.shape[-1], features.dtype))
        # The softmax does not see what is taken off all scores.
        largest = tf.stop_gradient(tf.reduce_max(scores, axis=(1, 2), keepdims=True))
        shares = tf.exp(scores - largest)
        return shares / tf.reduce_sum(shares, axis=(1, 2), keepdims=True)

    def call(self, features: tf.Tensor) -> tf.Tensor:
        """The weighted mean of features (B, h, w, C): (B, 1, 1, C)."""
        return tf.reduce_sum(self.attention(features) * features, axis=(1, 2), keepdims=True)

    def compute_output_shape(self, input_shape: tuple[Any, ...]) -> tuple[Any, ...]:
        """(B, 1, 1, C)."""
        return input_shape[0], 1, 1, input_shape[-1]
