"""SGD as the paper's published example has it, and schedules of its learning rate."""

from collections.abc import Sequence
from typing import Any

import keras


@keras.saving.register_keras_serializable(package="tfrobust")
class L2SGD(keras.optimizers.SGD):
    """SGD with L2 regularisation as in PyTorch: it is a part of the gradient.

    l2·w is added to the gradient of each weight w, before momentum. That includes biases and the
    scale and shift of batch normalisation. (The `weight_decay` of Keras is decoupled: it is
    multiplied by the learning rate and bypasses the momentum.)

    Args:
        learning_rate: a float or a schedule of Keras.
        momentum: from 0 to 1.
        l2: how much of a weight is added to its gradient.
    """

    def __init__(
        self,
        learning_rate: float | keras.optimizers.schedules.LearningRateSchedule = 0.1,
        momentum: float = 0.9,
        l2: float = 1e-4,
        name: str = "l2_sgd",
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate=learning_rate, momentum=momentum, name=name, **kwargs)
        self.l2 = l2

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """One step of one variable, with its L2 gradient added."""
        super().update_step(gradient + self.l2 * variable, variable, learning_rate)

    def get_config(self) -> dict[str, Any]:
        """The arguments that make the same optimizer."""
        return {**super().get_config(), "l2": self.l2}


def cosine(
    rate: float, total_steps: int, *, warmup: float = 0.0
) -> keras.optimizers.schedules.LearningRateSchedule:
    """A learning rate that falls to 0 along half a cosine.

    Args:
        rate: the largest learning rate.
        total_steps: of the whole training.
        warmup: the share of the training, from 0 to 1, in which the rate first rises from 0.
    """
    rise = round(warmup * total_steps)
    return keras.optimizers.schedules.CosineDecay(
        0.0 if rise else rate,
        max(1, total_steps - rise),
        warmup_target=rate if rise else None,
        warmup_steps=rise,
    )


def drops(
    rate: float, total_steps: int, *, shares: Sequence[float]
) -> float | keras.optimizers.schedules.LearningRateSchedule:
    """A learning rate that is divided by 10 again and again.

    Args:
        rate: the learning rate at the start.
        total_steps: of the whole training.
        shares: the shares of the training, ascending from 0 to 1, after which it is divided.

    Returns:
        A Keras schedule, or the rate itself if there are no shares.
    """
    if not shares:
        return rate
    boundaries = [round(share * total_steps) for share in shares]
    values = [rate / 10**drop for drop in range(len(boundaries) + 1)]
    return keras.optimizers.schedules.PiecewiseConstantDecay(boundaries, values)
