"""The gradient penalty: how fast a network's answer changes with the pixels of its image."""

from typing import Any

import keras
import tensorflow as tf

from tfrobust.core.criteria import class_margin


@keras.saving.register_keras_serializable(package="tfrobust")
class InputGradientPenalty:
    """The mean of |∂s/∂x|^z over all pixels x of a batch, for a scalar s of each image.

    With probability ζ ("tandem") s is the margin of the image's label: its logit minus the
    largest of the others. Otherwise s is one logit, drawn uniformly from the K classes. The
    training step differentiates the penalty again.

    Args:
        exponent: z, above 0.
        tandem: ζ, from 0 to 1.

    Raises:
        ValueError: a number is outside its range.

    Source: Woods et al., arXiv 1906.02896, Methods. z = 2 and ζ = 0.2 are those of the published
    CIFAR-10 example.
    """

    def __init__(self, *, exponent: float = 2.0, tandem: float = 0.2) -> None:
        if not exponent > 0 or not 0 <= tandem <= 1:
            raise ValueError(
                f"expected an exponent above 0 and a tandem from 0 to 1, got {exponent}, {tandem}"
            )
        self.exponent, self.tandem = float(exponent), float(tandem)

    def scalar(self, logits: tf.Tensor, labels: tf.Tensor, draws: tf.Tensor) -> tf.Tensor:
        """The scalar of each image that is differentiated with respect to its pixels.

        Args:
            logits: float (B, K).
            labels: int (B,), or (B, K) of labels that may hold together. Of these one is drawn; its
                margin is its logit but for the sign, which the penalty does not see.
            draws: float (B, 2), uniform in [0, 1). The first column decides between margin and
                logit, the second which logit.

        Returns:
            s, float (B,).
        """
        classes = tf.shape(logits)[-1]
        drawn = tf.cast(draws[:, 1] * tf.cast(classes, draws.dtype), tf.int32)
        # Rounding may carry a draw just below 1 up to K.
        drawn = tf.minimum(drawn, classes - 1)
        logit = tf.reduce_sum(logits * tf.one_hot(drawn, classes, dtype=logits.dtype), axis=-1)
        if len(labels.shape) == 2:
            return logit
        return tf.where(draws[:, 0] < self.tandem, class_margin(logits, labels), logit)

    def __call__(self, gradient: tf.Tensor) -> tf.Tensor:
        """The penalty of an input gradient (B, H, W, C), for pixels from 0 to 1: a scalar."""
        if self.exponent == 2.0:
            # Squares have a finite second derivative at 0, powers by `pow` have not.
            return tf.reduce_mean(tf.square(gradient))
        return tf.reduce_mean(tf.pow(tf.abs(gradient) + 1e-12, self.exponent))

    def get_config(self) -> dict[str, Any]:
        """The arguments that make the same penalty."""
        return {"exponent": self.exponent, "tandem": self.tandem}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "InputGradientPenalty":
        """A penalty from what `get_config` gave."""
        return cls(**config)
