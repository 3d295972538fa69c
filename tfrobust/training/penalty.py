"""The gradient penalty: how fast a network's answer changes with the pixels of its image."""

import math
from typing import Any, Literal, get_args

import keras
import tensorflow as tf

from tfrobust.core.criteria import class_margin
from tfrobust.core.distances import unit
from tfrobust.errors import InputError
from tfrobust.training.perturber import hardness

Of = Literal["logits", "loss"]
Method = Literal["double_backward", "finite_differences"]
# Of finite differences, for layers in float32, and in bfloat16, whose rounding is divided by it.
STEP, HALF_STEP = 0.01, 0.3
# Below this a squared norm counts as 0, so that its root has a derivative.
TINY = 1e-12


@keras.saving.register_keras_serializable(package="tfrobust")
class InputGradientPenalty:
    """The size of the gradient ∂s/∂x of a scalar s of each image, over its pixels x.

    - of="logits", the paper's penalty: the mean of |∂s/∂x|^z over all pixels. With probability ζ
      ("tandem") s is the margin of the image's label: its logit minus the largest of the others.
      Otherwise s is one logit, drawn uniformly from the K classes.
    - of="loss": the mean of ‖∂s/∂x‖₂^z over the images. s is the cross-entropy of the image's
      class, whatever loss is trained with. For z = 1 it is the norm itself, for z = 2 its square,
      H·W·C times what the mean over pixels would be.

    The training step differentiates the penalty again. With method="finite_differences" it does
    not: ‖∂s/∂x‖₂ is then |s(x + h·d) − s(x)|/h, where d is the gradient divided by its norm, and is
    taken for constant. That errs by (h/2)·dᵀHd, where H is the second derivative of s, and on
    functions with none not at all.

    Args:
        exponent: z, above 0.
        tandem: ζ, from 0 to 1; of="loss" does not ask for it.
        of: what is differentiated.
        method: how the penalty's own gradient is found.
        step: h, the L2 length of the step of finite differences, for pixels from 0 to 1. The
            layers' rounding is divided by it: in bfloat16 take 0.3.
        fraction: the share of a batch whose images are penalised, above 0 and at most 1. They are
            drawn anew in every step, and weigh so that the penalty is in expectation that of all
            of them. They pass the network once more, by themselves: where layers take statistics
            of the batch, as BatchNormalization does, those are of the drawn images.

    Raises:
        InputError: a number is outside its range, or finite differences are asked for a power of
            single pixels other than the square.

    Source: Woods et al., arXiv 1906.02896, Methods. z = 2 and ζ = 0.2 are those of the published
    CIFAR-10 example. The loss's gradient: Rodríguez-Muñoz et al., arXiv 2409.20139, there with the
    L1 norm. Finite differences: Finlay and Oberman, arXiv 1905.11468, section 4.
    """

    def __init__(
        self,
        *,
        exponent: float = 2.0,
        tandem: float = 0.2,
        of: Of = "logits",
        method: Method = "double_backward",
        step: float = STEP,
        fraction: float = 1.0,
    ) -> None:
        if not exponent > 0 or not 0 <= tandem <= 1:
            raise InputError(
                f"expected an exponent above 0 and a tandem from 0 to 1, got {exponent}, {tandem}"
            )
        if not 0 < step < math.inf or not 0 < fraction <= 1:
            raise InputError(
                "expected a step above 0 and a fraction above 0 and at most 1, got "
                f"{step}, {fraction}"
            )
        for value, known in ((of, get_args(Of)), (method, get_args(Method))):
            if value not in known:
                raise InputError(f"expected one of {', '.join(known)}, got {value!r}")
        if method == "finite_differences" and of == "logits" and exponent != 2:
            raise InputError(
                "expected an exponent of 2 with finite_differences of logits, which find the "
                f"gradient's norm and not its entries, got {exponent}. Take double_backward"
            )
        self.exponent, self.tandem = float(exponent), float(tandem)
        self.of: Of = of
        self.method: Method = method
        self.step, self.fraction = float(step), float(fraction)

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
        if self.of == "loss":
            return hardness(logits, labels)
        classes = tf.shape(logits)[-1]
        drawn = tf.cast(draws[:, 1] * tf.cast(classes, draws.dtype), tf.int32)
        # Rounding may carry a draw just below 1 up to K.
        drawn = tf.minimum(drawn, classes - 1)
        logit = tf.reduce_sum(logits * tf.one_hot(drawn, classes, dtype=logits.dtype), axis=-1)
        if len(labels.shape) == 2:
            return logit
        return tf.where(draws[:, 0] < self.tandem, class_margin(logits, labels), logit)

    def __call__(self, gradient: tf.Tensor, weights: tf.Tensor | None = None) -> tf.Tensor:
        """The penalty of input gradients.

        Args:
            gradient: float (B, H, W, C), for pixels from 0 to 1.
            weights: of the images, float (B,), which sum to 1; None for 1/B each.

        Returns:
            A scalar.
        """
        if self.of == "loss":
            return self._mean(self._power_of_square(_squares(gradient)), weights)
        if self.exponent == 2.0:
            # Squares have a finite second derivative at 0, powers by `pow` have not.
            return self._mean(tf.square(gradient), weights)
        return self._mean(tf.pow(tf.abs(gradient) + 1e-12, self.exponent), weights)

    def move(self, gradient: tf.Tensor) -> tf.Tensor:
        """h·d, the step of finite differences along a gradient (B, H, W, C), in its shape."""
        return self.step * unit(tf.stop_gradient(gradient))

    def of_change(
        self, change: tf.Tensor, gradient: tf.Tensor, weights: tf.Tensor | None = None
    ) -> tf.Tensor:
        """The penalty by finite differences.

        Args:
            change: s(x + h·d) − s(x), float (B,).
            gradient: the one that d is along, for its shape.
            weights: of the images, float (B,), which sum to 1; None for 1/B each.

        Returns:
            A scalar.
        """
        power = self._power_of_square(tf.square(change / self.step))
        if self.of == "logits":
            power /= math.prod(gradient.shape[1:])
        return self._mean(power, weights)

    def get_config(self) -> dict[str, Any]:
        """The arguments that make the same penalty."""
        return {
            "exponent": self.exponent,
            "tandem": self.tandem,
            "of": self.of,
            "method": self.method,
            "step": self.step,
            "fraction": self.fraction,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "InputGradientPenalty":
        """A penalty from what `get_config` gave."""
        return cls(**config)

    def _power_of_square(self, squares: tf.Tensor) -> tf.Tensor:
        return squares if self.exponent == 2.0 else tf.pow(squares + TINY, self.exponent / 2)

    def _mean(self, values: tf.Tensor, weights: tf.Tensor | None) -> tf.Tensor:
        """The mean over all but the images, then over those by their weights."""
        if weights is None:
            return tf.reduce_mean(values)
        return tf.reduce_sum(weights * tf.reduce_mean(values, axis=range(1, len(values.shape))))


def _squares(gradient: tf.Tensor) -> tf.Tensor:
    """‖gradient‖₂² of each image: (B, H, W, C) → (B,)."""
    return tf.reduce_sum(tf.square(gradient), axis=range(1, len(gradient.shape)))
