"""A classification loss that asks for margins, for networks whose margins are certified."""

import math
from typing import Any

import keras
import tensorflow as tf

from tfrobust.errors import InputError


@keras.saving.register_keras_serializable(package="tfrobust")
class MarginLoss(keras.losses.Loss):
    """The cross-entropy of logits, the label's lowered by √2·ε, at a temperature.

    In a 1-Lipschitz network a margin of √2·ε makes a certified radius of ε. The loss falls as long
    as an image's margin is not well above that. The plain cross-entropy of such a network would ask
    for larger margins of images whose margins are large already, as their logits stay small.

    Args:
        epsilon: ε, the L2 radius that is asked for, in units of pixels from 0 to 1.
        temperature: what the logits are divided by; the smaller it is, the less do images count
            whose margins are larger than asked for. The loss is multiplied by it again.
        name: as any Keras loss takes it.
        reduction: as any Keras loss takes it.

    Raises:
        InputError: a negative ε, or a temperature that is not above 0.

    Source: Prach, Lampert, arXiv 2208.03160, section 5, offset and temperature.
    """

    def __init__(
        self,
        *,
        epsilon: float = 1.0,
        temperature: float = 0.25,
        name: str = "margin_loss",
        reduction: str = "sum_over_batch_size",
    ) -> None:
        super().__init__(name=name, reduction=reduction)
        if not (epsilon >= 0 and math.isfinite(epsilon) and temperature > 0):
            raise InputError(
                "expected epsilon from 0 and a temperature above 0, got "
                f"{epsilon} and {temperature}"
            )
        self.epsilon, self.temperature = epsilon, temperature

    def call(self, y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
        """The loss of each image.

        Args:
            y_true: int (B,) or (B, 1), the classes; or rows of shares (B, K).
            y_pred: float (B, K), logits.

        Returns:
            (B,).
        """
        count = y_pred.shape[-1]
        if y_true.shape.rank == 2 and y_true.shape[-1] == count:
            shares = tf.cast(y_true, y_pred.dtype)
        else:
            shares = tf.one_hot(tf.reshape(tf.cast(y_true, tf.int32), [-1]), count)
            shares = tf.cast(shares, y_pred.dtype)
        lowered = (y_pred - math.sqrt(2) * self.epsilon * shares) / self.temperature
        losses = tf.nn.softmax_cross_entropy_with_logits(labels=shares, logits=lowered)
        return self.temperature * losses

    def get_config(self) -> dict[str, Any]:
        """The arguments that make the same loss."""
        own = {"epsilon": self.epsilon, "temperature": self.temperature}
        return {**super().get_config(), **own}
