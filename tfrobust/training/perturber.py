"""The base class of what perturbs training images."""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Self

import tensorflow as tf

from tfrobust.core.classifier import Model
from tfrobust.core.criteria import Misclassified, cross_entropy, label_cross_entropy
from tfrobust.errors import InputError
from tfrobust.training.draws import drawn_part


def hardness(logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """What a perturbation raises: the cross-entropy of each image's class.

    Args:
        logits: float (B, K).
        labels: int (B,); or (B, K), labels that may hold together.

    Returns:
        float (B,).
    """
    if len(labels.shape) == 1:
        return cross_entropy(logits, labels)
    return label_cross_entropy(logits, labels)


def misled(logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """Whether the network is wrong about an image, or about any of its labels: bool (B,).

    The arguments are those of `hardness`.
    """
    if len(labels.shape) == 1:
        return Misclassified().met(logits, labels)
    return tf.reduce_any((logits > 0) != (tf.cast(labels, logits.dtype) > 0.5), axis=-1)


class Perturber(ABC):
    """Perturbs the images of a training batch, or a share of them.

    Args:
        epsilon: size of the perturbations, above 0, in the unit that the subclass tells.
        steps: how many gradients are taken, at least 1.
        share: of the images of a batch that are perturbed, above 0 and at most 1. They are drawn
            anew for each batch, one of each group of neighbours (see `drawn_part`), at least one
            of each device. The attack computes these alone.

    Raises:
        InputError: an argument is outside its range.
    """

    # True: the training takes the perturbed images instead of the clean ones.
    # False: it takes the clean ones, and adds `loss` of both.
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
            model: a function of images that gives logits (B, K): the network in training mode,
                without side effects.
            images: float (B, H, W, C) in [0, 1].
            labels: int32 (B,); or (B, K) from 0 to 1, of labels that may hold together.
            draws: float (B, n), uniform in [0, 1), n being `draws_per_image`. The first column
                decides which images are perturbed, the rest is for a random start.

        Returns:
            The perturbed batch, in the shape and dtype of the images. No gradient flows through.
        """
        start = draws[:, 1:]
        if self.share == 1:
            return tf.stop_gradient(self._perturb(model, images, labels, start))
        places, _ = drawn_part(draws[:, 0], self.share)
        drawn = (tf.gather(one, places) for one in (images, labels, start))
        perturbed = self._perturb(model, *drawn)
        whole = tf.tensor_scatter_nd_update(images, places[:, tf.newaxis], perturbed)
        return tf.stop_gradient(whole)

    def draws_per_image(self, shape: Sequence[int]) -> int:
        """How many random numbers an image of shape (H, W, C) needs."""
        return 1

    def loss(self, logits: tf.Tensor, perturbed_logits: tf.Tensor) -> tf.Tensor:
        """What is added to the loss if the perturbed images do not replace the clean ones.

        Args:
            logits: float (B, K), of the clean images.
            perturbed_logits: float (B, K), of the perturbed ones.

        Returns:
            A scalar with gradients to both.
        """
        raise NotImplementedError(f"{type(self).__name__} replaces the batch")

    @abstractmethod
    def _perturb(
        self, model: Model, images: tf.Tensor, labels: tf.Tensor, start: tf.Tensor
    ) -> tf.Tensor: ...

    def get_config(self) -> dict[str, Any]:
        """The arguments that make the same perturber."""
        return {"epsilon": self.epsilon, "steps": self.steps, "share": self.share}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """A perturber from what `get_config` gave."""
        return cls(**config)
