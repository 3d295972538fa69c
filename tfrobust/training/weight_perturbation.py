"""Adversarial weight perturbation: the gradient of each step is taken at worse weights."""

from collections.abc import Callable, Sequence
from typing import Any, Literal, get_args

import keras
import tensorflow as tf

from tfrobust.errors import InputError

Along = Literal["gradient", "momentum"]
TINY = 1e-12


@keras.saving.register_keras_serializable(package="tfrobust")
class WeightPerturbation:
    """Moves every kernel uphill before the gradient of a step is taken, and back before the step.

    A kernel w moves by γ·‖w‖·d, where d has norm 1: a network is then trained to have a small loss
    in a whole neighbourhood of its weights, and its robustness overfits less. Biases, and the scale
    and shift of batch normalisation, stay; its moving averages see the moved network.

    - along="gradient": d is along the gradient of the batch's loss without penalties, after its
      images were perturbed. A step takes one more pass forth and back.
    - along="momentum": d is along the momentum that SGD has from the steps before, which costs
      nothing.

    Args:
        gamma: γ, above 0.
        along: what d follows.

    Raises:
        InputError: an argument is outside its range.

    Source: Wu, Xia, Wang, arXiv 2004.05884; γ = 0.005 and kernels alone, as for their
    PreActResNet-18. Momentum: Becker, Altrock, Risse, arXiv 2401.12033, which has one norm over
    all weights and no adversarial images.
    """

    def __init__(self, *, gamma: float = 0.005, along: Along = "gradient") -> None:
        if not 0 < gamma < float("inf"):
            raise InputError(f"expected a gamma above 0, got {gamma}")
        if along not in get_args(Along):
            raise InputError(f"expected one of {', '.join(get_args(Along))}, got {along!r}")
        self.gamma = float(gamma)
        self.along: Along = along

    def check(self, optimizer: Any) -> None:
        """Refuses what no direction can be had of.

        Args:
            optimizer: of Keras, that takes the steps.

        Raises:
            InputError: it has no momentum, or there are several devices.
        """
        if tf.distribute.get_strategy().num_replicas_in_sync > 1:
            raise InputError("expected one device for WeightPerturbation, got several")
        has_momentum = isinstance(optimizer, keras.optimizers.SGD) and optimizer.momentum
        if self.along == "momentum" and not has_momentum:
            raise InputError(
                "expected an SGD with momentum for WeightPerturbation(along='momentum'), got "
                f"{type(optimizer).__name__}: take along='gradient'"
            )

    def move(
        self,
        variables: Sequence[Any],
        optimizer: Any,
        gradients: Callable[[Sequence[Any]], Sequence[tf.Tensor | None]],
    ) -> Callable[[], None]:
        """Moves the kernels.

        Args:
            variables: of the network, that are trained.
            optimizer: of Keras, whose momentum may be asked for.
            gradients: gives the loss's gradients with respect to variables.

        Returns:
            What moves them back, to the same bits.
        """
        kernels = [one for one in variables if len(one.shape) > 1]
        if self.along == "momentum":
            if not optimizer.built:
                with tf.init_scope():  # it would be built in the first step only
                    optimizer.build(variables)
            # What SGD keeps is its next step, downhill.
            uphill = [-1 * optimizer.momentums[optimizer._get_variable_index(k)] for k in kernels]
        else:
            uphill = list(gradients(kernels))
        before = [tf.identity(tf.convert_to_tensor(kernel)) for kernel in kernels]
        for kernel, weights, direction in zip(kernels, before, uphill, strict=True):
            if direction is not None:
                kernel.assign(weights + self._moved(weights, tf.convert_to_tensor(direction)))

        def back() -> None:
            for kernel, weights in zip(kernels, before, strict=True):
                kernel.assign(weights)

        return back

    def get_config(self) -> dict[str, Any]:
        """The arguments that make the same perturbation."""
        return {"gamma": self.gamma, "along": self.along}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "WeightPerturbation":
        """A perturbation from what `get_config` gave."""
        return cls(**config)

    def _moved(self, weights: tf.Tensor, direction: tf.Tensor) -> tf.Tensor:
        scale = self.gamma * tf.norm(weights) / (tf.norm(direction) + TINY)
        return scale * direction
