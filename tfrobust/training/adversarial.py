"""Adversarial training: what perturbs a batch before, or while, it is trained on.

A perturber sees the network in training mode, as the step does: normalised by the batch's own
statistics. Its passes change nothing of the network. The published networks' moving averages saw
them, ours do not: they are of the images that are trained on. Dropout, where a network has it,
drops the same units in all passes of an attack.

Every perturber is built into the compiled step, its loop unrolled, because XLA on a CPU runs
that three times as fast as a loop and batch statistics can span replicas in no other way.
"""

import math

import keras
import tensorflow as tf

from tfrobust.attacks.l2_min import advance, step_lengths
from tfrobust.core.criteria import Misclassified, cross_entropy
from tfrobust.core.distances import per_image, rmse
from tfrobust.core.gradients import input_gradient
from tfrobust.core.opaque import Model
from tfrobust.training.perturber import Perturber


@keras.saving.register_keras_serializable(package="tfrobust")
class L2Walk(Perturber):
    """The paper's "L2": a walk of given length, taken to its end whether it misleads or not.

    Args:
        epsilon: length of the path and radius of the ball, RMSE in units of pixels from 0 to 1.
        steps: S.
        share: probability of an image to be perturbed.

    Source: arXiv 1906.02896, Algorithm 1 with the stop rule ρ(δ) < ε and no momentum, as in the
    published CIFAR-10 example. Pixels may leave [0, 1].
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

    An image that was never mistaken over steps + 1 visits stays clean.

    Args:
        epsilon: length of the path, RMSE in units of pixels from 0 to 1.
        steps: S.
        share: probability of an image to be perturbed.

    Source: arXiv 1906.02896, Algorithm 1 without momentum, as in the published CIFAR-10 example.
    Pixels may leave [0, 1].
    """

    def __init__(self, *, epsilon: float = 0.1, steps: int = 7, share: float = 1.0) -> None:
        super().__init__(epsilon=epsilon, steps=steps, share=share)

    def _perturb(
        self, model: Model, images: tf.Tensor, labels: tf.Tensor, start: tf.Tensor
    ) -> tf.Tensor:
        delta = best = tf.zeros_like(images)
        best_size = tf.fill(tf.shape(labels), tf.constant(math.inf, images.dtype))
        for length in step_lengths(self.steps, self.epsilon):
            logits, gradient = _rise(model, images + delta, labels)
            met = Misclassified().met(logits, labels)
            best, best_size = _smaller(delta, met, best, best_size)
            delta = _walk(delta, gradient, met, length)
        met = Misclassified().met(model(images + delta), labels)
        best, _ = _smaller(delta, met, best, best_size)
        return images + best


def _rise(model: Model, images: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Logits, and which way each image's cross-entropy rises."""
    return input_gradient(model, images, lambda logits: cross_entropy(logits, labels))


def _walk(delta: tf.Tensor, gradient: tf.Tensor, met: tf.Tensor, length: float) -> tf.Tensor:
    """A step of the paper's walk without momentum."""
    delta, _ = advance(
        delta, tf.zeros_like(delta), gradient, met, tf.constant(length, delta.dtype), 0.0
    )
    return delta


def _smaller(
    delta: tf.Tensor, met: tf.Tensor, best: tf.Tensor, best_size: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """The best so far, or delta where it met the goal and is smaller."""
    size = rmse(delta)
    better = met & (size < best_size)
    return tf.where(per_image(better), delta, best), tf.where(better, size, best_size)
