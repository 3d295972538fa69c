"""The controller of ψ, the weight of the penalty: it holds the classification loss at a target."""

import math
from typing import Any

import keras
import tensorflow as tf

TARGET_SHARE = 0.65  # of the loss of a guess: 1.5 for ten classes, as published
FIRST_STEPS = 20  # in which ψ0 is lowered, where the penalty's share of the loss says so


@keras.saving.register_keras_serializable(package="tfrobust")
class PsiController(keras.layers.Layer):
    """An integral controller: it raises ψ while the classification loss is better than its target.

    So a network that is better than it needs to be spends the rest on robustness. In every step,
    before the penalty, r ← max(0, r + clip(−ln(CE/target), −worse, better)) and ψ = ψ0·exp(k·r).
    CE is the classification loss of the batch over all devices, whether it is the cross-entropy or
    another. r is a variable that is saved with the model.

    Args:
        loss_target: L_target in nats, or in the unit of another loss, above 0; None for 0.65 of
            the loss of a guess, which is 0.65·ln K for the cross-entropy and classes that come
            equally often. Where labels share their weight, no loss is 0: then the target lies 0.65
            of the way from the least loss to that of a guess.
        initial: ψ0, above 0.
        initial_share: the most that ψ·penalty may be of the loss at the start, between 0 and 1.
            Where it is more in one of the first 20 steps, ψ0 is lowered. So `initial` need not be
            known for a network, whose input gradients may be a hundred times those of another.
            None to begin at `initial` whatever the share is.
        gain: k, at least 0.
        better: the most that r rises in a step, above 0.
        worse: the most that r falls in a step, above 0.

    Raises:
        ValueError: a number is outside its range.

    Source: Woods et al., arXiv 1906.02896, Methods. The defaults are those of the published
    CIFAR-10 example.
    """

    def __init__(
        self,
        *,
        loss_target: float | None = None,
        initial: float = 220.0,
        initial_share: float | None = None,
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
        if initial_share is not None and not 0 < initial_share < 1:
            raise ValueError(f"expected initial_share between 0 and 1, got {initial_share}")
        self.loss_target, self.initial, self.gain = loss_target, initial, gain
        self.initial_share = initial_share
        self.better, self.worse = better, worse
        self.integral = self._state("integral", 0.0)
        if initial_share is not None:
            self.start, self.steps = self._state("start", initial), self._state("steps", 0.0)
        self.built = True

    @property
    def psi(self) -> tf.Tensor:
        """ψ as it is now, a float scalar."""
        start = self.initial if self.initial_share is None else tf.convert_to_tensor(self.start)
        return start * tf.exp(self.gain * tf.convert_to_tensor(self.integral))

    def update(
        self,
        loss: tf.Tensor,
        num_classes: int,
        guess: tf.Tensor | None = None,
        least: tf.Tensor | None = None,
        *,
        penalty: tf.Tensor | None = None,
    ) -> tf.Tensor:
        """One step of the controller.

        Args:
            loss: float scalar: the mean classification loss of the batch over all devices.
            num_classes: K, for the default target.
            guess: float scalar: the same loss of a guess, for the default target; None for ln K.
            least: float scalar: the least that this loss can be; None for 0.
            penalty: float scalar: over all devices, for `initial_share`.

        Returns:
            The new ψ, a float scalar. No gradient flows through it.
        """
        target = self.target(num_classes, guess, least)
        # A loss of exactly 0 has no logarithm. It is as good as any other tiny one.
        loss = tf.cast(tf.stop_gradient(loss), self.integral.dtype)
        loss = tf.maximum(loss, 1e-30)
        change = tf.clip_by_value(-tf.math.log(loss / target), -self.worse, self.better)
        # max(0, NaN) would be 0 and hide the NaN. The training loop must see it.
        integral = tf.convert_to_tensor(self.integral) + change
        self.integral.assign(tf.where(integral < 0.0, tf.zeros_like(integral), integral))
        if self.initial_share is not None and penalty is not None:
            self._lower(loss, tf.cast(tf.stop_gradient(penalty), loss.dtype))
        return self.psi

    def target(
        self,
        num_classes: int,
        guess: tf.Tensor | None = None,
        least: tf.Tensor | None = None,
    ) -> Any:
        """The loss that ψ holds, in nats.

        Args:
            num_classes: K.
            guess: float scalar: the loss of a guess; None for ln K.
            least: float scalar: the least that the loss can be; None for 0.
        """
        if self.loss_target is not None:
            return self.loss_target
        guess = math.log(num_classes) if guess is None else guess
        if least is None:
            return TARGET_SHARE * guess
        return least + TARGET_SHARE * (guess - least)

    def _lower(self, loss: tf.Tensor, penalty: tf.Tensor) -> None:
        """Lowers ψ0 in the first steps until ψ0·penalty is no more than its share of the loss."""
        share: Any = self.initial_share
        start, steps = tf.convert_to_tensor(self.start), tf.convert_to_tensor(self.steps)
        most = share / (1.0 - share) * loss / tf.maximum(penalty, 1e-30)
        is_first = steps < FIRST_STEPS
        self.start.assign(tf.where(is_first, tf.minimum(start, most), start))
        self.steps.assign(tf.where(is_first, steps + 1.0, steps))

    def _state(self, name: str, value: float) -> keras.Variable:
        # Every device computes the same value, from the loss over all devices: any one is right.
        return self.add_weight(
            name=name,
            initializer=keras.initializers.Constant(value),
            trainable=False,
            # float32, or float64, whatever the precision policy.
            dtype=keras.config.floatx(),
            aggregation="only_first_replica",
        )

    def get_config(self) -> dict[str, Any]:
        """The arguments that make the same controller."""
        return {
            **super().get_config(),
            "loss_target": self.loss_target,
            "initial": self.initial,
            "initial_share": self.initial_share,
            "gain": self.gain,
            "better": self.better,
            "worse": self.worse,
        }
