"""Layers without weights that never lengthen the distance between two inputs."""

from typing import Any

import keras
import tensorflow as tf

from tfrobust.errors import InputError

# Where a 3×3 convolution looks beside the pixel itself.
NEIGHBOURS = tuple((y, x) for y in (-1, 0, 1) for x in (-1, 0, 1) if (y, x) != (0, 0))


@keras.saving.register_keras_serializable(package="tfrobust")
class MaxMin(keras.layers.Layer):
    """Sorts pairs of channels: the first half of the channels gets the larger of each pair.

    Its gradient has the length of what comes from above, where a ReLU's is shorter. It is GroupSort
    with groups of two.

    Source: Anil, Lucas, Grosse, arXiv 1811.05381.
    """

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Checks the number of channels."""
        if input_shape[-1] is None or input_shape[-1] % 2:
            raise InputError(
                f"expected an even number of channels for MaxMin, got shape {input_shape}"
            )
        super().build(input_shape)

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Sorts floats (…, C) → (…, C)."""
        first, second = tf.split(inputs, 2, axis=-1)
        return tf.concat([tf.maximum(first, second), tf.minimum(first, second)], axis=-1)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """The input's own shape."""
        return input_shape


@keras.saving.register_keras_serializable(package="tfrobust")
class SpatialShift(keras.layers.Layer):
    """Moves an eighth of the channels by one pixel in each of the eight directions.

    A matrix at each pixel then mixes a pixel with its neighbours, as a 3×3 convolution does, and
    costs a ninth of it. If the matrix is orthogonal, so is the convolution that both make. Zeros
    come in at the border.

    Args:
        still: the share of the channels that stay where they are.

    Source: Hu et al., arXiv 2601.18513.
    """

    def __init__(self, still: float = 0.25, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not 0 <= still < 1:
            raise InputError(f"expected still as a share from 0 to below 1, got {still}")
        self.still = still

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Moves the channels of floats (B, H, W, C) → (B, H, W, C)."""
        _, height, width, channels = inputs.shape
        each = round((1 - self.still) * channels / len(NEIGHBOURS))
        padded = tf.pad(inputs[..., : each * len(NEIGHBOURS)], [[0, 0], [1, 1], [1, 1], [0, 0]])
        moved = [
            padded[
                :, 1 + y : 1 + y + height, 1 + x : 1 + x + width, index * each : (index + 1) * each
            ]
            for index, (y, x) in enumerate(NEIGHBOURS)
        ]
        return tf.concat([*moved, inputs[..., each * len(NEIGHBOURS) :]], axis=-1)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """The input's own shape."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """What `from_config` needs to make the layer again."""
        return {**super().get_config(), "still": self.still}


@keras.saving.register_keras_serializable(package="tfrobust")
class SpaceToDepth(keras.layers.Layer):
    """Makes the pixels of each cell of 2 × 2 the channels of one pixel: nothing is lost."""

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Floats (B, H, W, C) → (B, H/2, W/2, 4·C)."""
        return tf.nn.space_to_depth(inputs, 2)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """(B, H/2, W/2, 4·C)."""
        return tuple(
            size and int(factor * size)
            for size, factor in zip(input_shape, (1, 0.5, 0.5, 4), strict=True)
        )
