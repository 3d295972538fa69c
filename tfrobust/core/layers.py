"""The layers that a robust network needs and Keras lacks."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

from tfrobust.errors import InputError


@keras.saving.register_keras_serializable(package="tfrobust")
def half_huber_relu(inputs: tf.Tensor) -> tf.Tensor:
    """A ReLU whose corner is a parabola of width 0.5, so that its gradient is continuous.

    h(a) is 0 for a ≤ 0, a² for 0 < a ≤ ½, and a − ¼ above. This is the paper's δ = 0.5
    (arXiv 1906.02896, Methods, "Half-Huber ReLU"). The function can be the activation of any Keras
    layer, which saves it by its name.

    Args:
        inputs: floats of any shape.

    Returns:
        h(inputs), of the same shape.
    """
    return _half_huber_relu(inputs)


@tf.custom_gradient
def _half_huber_relu(inputs: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor], tf.Tensor]]:
    # With c = clip(a, 0, δ), both pieces of h are c·(a − c/2)/δ.
    slope = tf.clip_by_value(inputs, 0.0, 0.5)

    def gradient(upstream: tf.Tensor) -> tf.Tensor:
        # The second derivative needs the path from `inputs`, so the clip is computed again.
        return upstream * (2.0 * tf.clip_by_value(inputs, 0.0, 0.5))

    return slope * (2.0 * inputs - slope), gradient


@keras.saving.register_keras_serializable(package="tfrobust")
class HalfHuberReLU(keras.layers.Layer):
    """Half-Huber ReLU with δ = 0.5, as a layer: see `half_huber_relu`."""

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Applies `half_huber_relu` to floats of any shape."""
        return half_huber_relu(inputs)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """The input's own shape."""
        return input_shape


@keras.saving.register_keras_serializable(package="tfrobust")
class InputNormalization(keras.layers.Layer):
    """Normalises images inside the network: (image − mean) / standard deviation, by channel.

    So attacks, exports and users all give pixels in [0, 1].

    Args:
        mean: one float for each channel, in units of pixels in [0, 1].
        std: one positive float for each channel, in the same units.
    """

    def __init__(self, mean: Sequence[float], std: Sequence[float], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.mean, self.std = tuple(map(float, mean)), tuple(map(float, std))
        if not self.mean or len(self.mean) != len(self.std) or min(self.std) <= 0:
            raise InputError(
                f"expected as many means as positive deviations, got mean={mean}, std={std}"
            )

    def call(self, images: tf.Tensor) -> tf.Tensor:
        """Normalises float images (B, H, W, C) with pixels in [0, 1]."""
        mean, std = (tf.constant(values, images.dtype) for values in (self.mean, self.std))
        return (images - mean) / std

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """The input's own shape."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """What `from_config` needs to make the layer again."""
        return {**super().get_config(), "mean": self.mean, "std": self.std}
