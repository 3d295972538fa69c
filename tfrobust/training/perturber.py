"""What every perturber of training batches shares: the call, the share of images, the config."""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Self

import tensorflow as tf

from tfrobust.core.distances import per_image
from tfrobust.core.opaque import Model
from tfrobust.errors import InputError


class Perturber(ABC):
    """Perturbs a training batch.

    Args:
        epsilon: how far, in the unit that the class tells.
        steps: gradients taken.
        share: probability of an image to be perturbed, above 0; all are attacked together.

    Raises:
        InputError: an argument outside what is said above.
    """

    # Whether the perturbed batch is trained on in the clean one's place; if not, `loss` is added.
    replaces = True

    def __init__(self, *, epsilon: float, steps: int, share: float = 1.0) -> None:
        if not 0 < epsilon < math.inf or steps < 1 or not 0 < share <= 1:
            raise InputError(
                "expected epsilon above 0, steps of at least 1 and a share above 0 and at most 1, "
                f"got {epsilon}, {steps}, {share}"
            )
        self.epsilon, self.steps, self.share = float(epsilon), int(steps), float(share)

    def __call__(
        self, model: Model, images: tf.Tensor, labels: tf.Tensor, draws: tf.Tensor
    ) -> tf.Tensor:
        """Perturbs a batch.

        Args:
            model: images → logits (B, K), the network in training mode and free of effects.
            images: float (B, H, W, C) in [0, 1].
            labels: int32 (B,).
            draws: float (B, n), uniform in [0, 1), with n of `draws_per_image`: whether the
                image is perturbed, then what a random start takes.

        Returns:
            The perturbed batch, in the shape and dtype of the images; no gradient flows through.
        """
        perturbed = self._perturb(model, images, labels, draws[:, 1:])
        if self.share < 1:
            perturbed = tf.where(per_image(draws[:, 0] < self.share), perturbed, images)
        return tf.stop_gradient(perturbed)

    def draws_per_image(self, shape: Sequence[int]) -> int:
        """How many uniform numbers an image of shape (H, W, C) takes."""
        return 1

    def loss(self, logits: tf.Tensor, perturbed_logits: tf.Tensor) -> tf.Tensor:
        """What a perturber that does not replace the batch adds to the loss.

        Args:
            logits: float (B, K), of the clean images.
            perturbed_logits: float (B, K).

        Returns:
            A scalar, differentiable by both.
        """
        raise NotImplementedError(f"{type(self).__name__} replaces the batch")

    @abstractmethod
    def _perturb(
        self, model: Model, images: tf.Tensor, labels: tf.Tensor, start: tf.Tensor
    ) -> tf.Tensor: ...

    def get_config(self) -> dict[str, Any]:
        """What makes the perturber again."""
        return {"epsilon": self.epsilon, "steps": self.steps, "share": self.share}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """The inverse of `get_config`."""
        return cls(**config)
