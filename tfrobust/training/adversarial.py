"""Adversarial training by the paper's two walks: "L2" and "L2,min".

A perturber asks the network in training mode, as the training step does, so batch normalisation
uses the statistics of the batch. Its passes change nothing in the network. In particular, the
moving averages see only the images that are trained on; those of the published networks saw the
passes of the attack as well. In a network with Dropout, all passes of an attack drop the same
units.

Every perturber is a part of the compiled training step, and its loop is unrolled. On a CPU, XLA
runs this three times as fast as a loop, and only so can batch statistics span several devices.
"""

import math

import keras
import tensorflow as tf

from tfrobust.attacks.walk import advance, step_lengths
from tfrobust.core.classifier import Model
from tfrobust.core.distances import per_image, rmse
from tfrobust.core.gradients import input_gradient
from tfrobust.training.perturber import Perturber, hardness, misled


@keras.saving.register_keras_serializable(package="tfrobust")
class L2Walk(Perturber):
    """The paper's "L2": a walk of a given length, which does not stop where it misleads.

    Args:
        epsilon: length of the path and radius of the ball: RMSE, for pixels from 0 to 1.
        steps: S, how many steps the walk has, at least 1.
        share: of the images of a batch that are perturbed, above 0 and at most 1.

    Source: Woods et al., arXiv 1906.02896, Algorithm 1 with the stop rule ρ(δ) < ε and no
    momentum, as in the published CIFAR-10 example. Pixels may leave [0, 1].
    """

    def __init__(self, *, epsilon: float = 0.01, steps: int = 7, share: float = 1.0) -> None:
        super().__init__(epsilon=epsilon, steps=steps, share=share)

    def _perturb(
        self, model: Model, images: tf.Tensor, labels: tf.Tensor, start: tf.Tensor
    ) -> tf.Tensor:
        delta = tf.zeros_like(images)
        for length in step_lengths(self.steps, self.epsilon):
            _, gradient = _rise(model, images + delta, labels)
            delta = _walk(delta, gradient, rmse(delta) >= self.epsilon, length)
        return images + delta


@keras.saving.register_keras_serializable(package="tfrobust")
class L2MinWalk(Perturber):
    """The paper's "L2,min": the smallest perturbation on the walk that misleads the network.

    The walk visits steps + 1 points. An image that the network classifies rightly at all of them
    stays clean.

    Args:
        epsilon: length of the path: RMSE, for pixels from 0 to 1.
        steps: S, how many steps the walk has, at least 1.
        share: of the images of a batch that are perturbed, above 0 and at most 1.

    Source: Woods et al., arXiv 1906.02896, Algorithm 1 without momentum, as in the published
    CIFAR-10 example. Pixels may leave [0, 1].
    """

    def __init__(self, *, epsilon: float = 0.1, steps: int = 7, share: float = 1.0) -> None:
        super().__init__(epsilon=epsilon, steps=steps, share=share)

    def _perturb(
        self, model: Model, images: tf.Tensor, labels: tf.Tensor, start: tf.Tensor
    ) -> tf.Tensor:
        delta = best = tf.zeros_like(images)
        best_size = tf.fill(tf.shape(images)[:1], tf.constant(math.inf, images.dtype))
        for length in step_lengths(self.steps, self.epsilon):
            logits, gradient = _rise(model, images + delta, labels)
            met = misled(logits, labels)
            best, best_size = _smaller(delta, met, best, best_size)
            delta = _walk(delta, gradient, met, length)
        met = misled(model(images + delta), labels)
        best, _ = _smaller(delta, met, best, best_size)
        return images + best


def _rise(model: Model, images: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Logits (B, K), and the gradient of each image's cross-entropy (B, H, W, C)."""
    return input_gradient(model, images, lambda logits: hardness(logits, labels))


def _walk(delta: tf.Tensor, gradient: tf.Tensor, met: tf.Tensor, length: float) -> tf.Tensor:
    """The perturbations after one step of the paper's walk, without momentum."""
    delta, _ = advance(
        delta, tf.zeros_like(delta), gradient, met, tf.constant(length, delta.dtype), 0.0
    )
    return delta


def _smaller(
    delta: tf.Tensor, met: tf.Tensor, best: tf.Tensor, best_size: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """The best perturbation so far: delta where it misleads the network and is smaller."""
    size = rmse(delta)
    better = met & (size < best_size)
    return tf.where(per_image(better), delta, best), tf.where(better, size, best_size)
