"""SGD as the paper's published example has it."""

from typing import Any

import keras

from tfrobust.runs.recipes import Recipe


@keras.saving.register_keras_serializable(package="tfrobust")
class L2SGD(keras.optimizers.SGD):
    """SGD whose weight decay is part of the gradient, as in PyTorch.

    l2·w is added to each gradient before momentum, batch normalisation's scale and shift and
    biases included. Keras' own `weight_decay` is decoupled: times the rate, and past momentum.

    Args:
        learning_rate: a float or a schedule.
        momentum: from 0 to 1.
        l2: how much of the weight is added to its gradient.
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
        """One variable's step, its own L2 gradient added."""
        super().update_step(gradient + self.l2 * variable, variable, learning_rate)

    def get_config(self) -> dict[str, Any]:
        """What makes the optimizer again."""
        return {**super().get_config(), "l2": self.l2}


def schedule(
    recipe: Recipe, total_steps: int
) -> float | keras.optimizers.schedules.LearningRateSchedule:
    """The rate over a training, as a recipe asks for it.

    Args:
        recipe: its `learning_rate` fields.
        total_steps: steps of the whole training.

    Returns:
        A Keras schedule, or the plain rate where nothing changes it.
    """
    rate = recipe.learning_rate
    if recipe.learning_rate_schedule == "cosine":
        rise = round(recipe.learning_rate_warmup * total_steps)
        return keras.optimizers.schedules.CosineDecay(
            0.0 if rise else rate,
            max(1, total_steps - rise),
            warmup_target=rate if rise else None,
            warmup_steps=rise,
        )
    boundaries = [round(share * total_steps) for share in recipe.learning_rate_drops]
    if not boundaries:
        return rate
    values = [rate / 10**drop for drop in range(len(boundaries) + 1)]
    return keras.optimizers.schedules.PiecewiseConstantDecay(boundaries, values)
