"""The gradient penalty: how fast the network's answer changes with the image's pixels."""

from typing import Any

import keras
import tensorflow as tf

from tfrobust.core.criteria import class_margin


@keras.saving.register_keras_serializable(package="tfrobust")
class InputGradientPenalty:
    """mean over batch, H, W, C of |∂s/∂x|^z, differentiable again by the training step.

    Per image the scalar s is, with probability ζ ("tandem"), the label's margin
    f_y − max of the others, and otherwise one logit drawn uniformly from the K classes.

    Args:
        exponent: z.
        tandem: ζ, from 0 to 1.

    Raises:
        ValueError: an exponent not above 0, or a tandem outside [0, 1].

    Source: arXiv 1906.02896, Methods; z = 2 and ζ = 0.2 as in the published CIFAR-10 example.
    """

    def __init__(self, *, exponent: float = 2.0, tandem: float = 0.2) -> None:
        if not exponent > 0 or not 0 <= tandem <= 1:
            raise ValueError(
                f"expected an exponent above 0 and a tandem from 0 to 1, got {exponent}, {tandem}"
            )
        self.exponent, self.tandem = float(exponent), float(tandem)

    def scalar(self, logits: tf.Tensor, labels: tf.Tensor, draws: tf.Tensor) -> tf.Tensor:
        """What is differentiated by the pixels.

        Args:
            logits: float (B, K).
            labels: int (B,).
            draws: float (B, 2), uniform in [0, 1): which kind of scalar, and which logit.

        Returns:
            s, float (B,).
        """
        classes = tf.shape(logits)[-1]
        drawn = tf.cast(draws[:, 1] * tf.cast(classes, draws.dtype), tf.int32)
        # Rounding may carry a draw just below 1 up to K.
        drawn = tf.minimum(drawn, classes - 1)
        logit = tf.reduce_sum(logits * tf.one_hot(drawn, classes, dtype=logits.dtype), axis=-1)
        return tf.where(draws[:, 0] < self.tandem, class_margin(logits, labels), logit)

    def __call__(self, gradient: tf.Tensor) -> tf.Tensor:
        """The penalty of an input gradient: float (B, H, W, C), per unit of pixel → scalar."""
        if self.exponent == 2.0:
            # Its own case, for |g|^z by pow has no finite second derivative at 0.
            return tf.reduce_mean(tf.square(gradient))
        return tf.reduce_mean(tf.pow(tf.abs(gradient) + 1e-12, self.exponent))

    def get_config(self) -> dict[str, Any]:
        """What makes the penalty again."""
        return {"exponent": self.exponent, "tandem": self.tandem}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "InputGradientPenalty":
        """The inverse of `get_config`."""
        return cls(**config)
