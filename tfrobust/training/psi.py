"""The penalty's weight ψ, raised while the classification loss is better than its target."""

import math
from typing import Any

import keras
import tensorflow as tf


def default_loss_target(num_classes: int) -> float:
    """0.65·ln K: 1.5 for ten classes, as published; ln K is the loss of a guess."""
    return 0.65 * math.log(num_classes)


@keras.saving.register_keras_serializable(package="tfrobust")
class PsiController(keras.layers.Layer):
    """An integral controller that spends surplus accuracy on robustness.

    Every step, before the penalty: r ← max(0, r + clip(−ln(CE/target), −worse, better)) and
    ψ = ψ0·exp(k·r), where CE is the classification loss of the batch over all replicas. r is a
    saved variable.

    Args:
        loss_target: L_target, nats; None for `default_loss_target` of the classes.
        initial: ψ0.
        gain: k.
        better: most that r rises in a step.
        worse: most that r falls in a step.

    Raises:
        ValueError: a constant not above 0.

    Source: arXiv 1906.02896, Methods; constants as in the published CIFAR-10 example.
    """

    def __init__(
        self,
        *,
        loss_target: float | None = None,
        initial: float = 220.0,
        gain: float = 0.02,
        better: float = 1.0,
        worse: float = 0.01,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        constants = (initial, better, worse, 1.0 if loss_target is None else loss_target)
        if min(constants) <= 0 or gain < 0:
            raise ValueError(
                "expected loss_target, initial, better and worse above 0 and a gain of at least "
                f"0, got {loss_target}, {initial}, {better}, {worse}, {gain}"
            )
        self.loss_target, self.initial, self.gain = loss_target, initial, gain
        self.better, self.worse = better, worse
        # Every replica computes the same value from the all-replica loss, so any one is right.
        self.integral = self.add_weight(
            name="integral",
            initializer="zeros",
            trainable=False,
            # float32, or float64, whatever the precision policy.
            dtype=keras.config.floatx(),
            aggregation="only_first_replica",
        )
        self.built = True

    @property
    def psi(self) -> tf.Tensor:
        """ψ as it stands, a float scalar."""
        return self.initial * tf.exp(self.gain * tf.convert_to_tensor(self.integral))

    def update(self, cross_entropy: tf.Tensor, num_classes: int) -> tf.Tensor:
        """One step of the controller.

        Args:
            cross_entropy: float scalar, the batch's mean classification loss over all
                replicas, nats.
            num_classes: K, for the default target.

        Returns:
            The new ψ, a float scalar through which no gradient flows.
        """
        target = self.loss_target or default_loss_target(num_classes)
        # A loss of exactly 0 is as good as it gets: clipped below like any other.
        loss = tf.cast(tf.stop_gradient(cross_entropy), self.integral.dtype)
        loss = tf.maximum(loss, 1e-30)
        change = tf.clip_by_value(-tf.math.log(loss / target), -self.worse, self.better)
        # max(0, NaN) would hide a NaN as 0: the variable keeps it, for the loop to see.
        integral = tf.convert_to_tensor(self.integral) + change
        self.integral.assign(tf.where(integral < 0.0, tf.zeros_like(integral), integral))
        return self.psi

    def get_config(self) -> dict[str, Any]:
        """What makes the controller again."""
        return {
            **super().get_config(),
            "loss_target": self.loss_target,
            "initial": self.initial,
            "gain": self.gain,
            "better": self.better,
            "worse": self.worse,
        }
