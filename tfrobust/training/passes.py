"""Passes of a batch through the network in training mode, and those that its penalty needs."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import keras
import tensorflow as tf

from tfrobust.training.draws import PART_DRAWS, drawn_part, draws

if TYPE_CHECKING:
    from tfrobust.training.classifier import RobustClassifier


def answers(classifier: "RobustClassifier", images: tf.Tensor) -> tf.Tensor:
    """The logits in training mode, in the images' dtype whatever the layers compute in."""
    return tf.cast(classifier.network(images, training=True), images.dtype)


def forgotten(
    classifier: "RobustClassifier", images: tf.Tensor, states: Iterable[tuple[Any, Any]] = ()
) -> tf.Tensor:
    """The same of a pass that writes nothing, such as moving averages.

    Args:
        classifier: whose network answers.
        images: float (B, H, W, C).
        states: variables, and the values that they have in this pass.
    """
    with keras.StatelessScope(state_mapping=list(states)):
        return answers(classifier, images)


class PenalisedBatch:
    """The logits of a batch and its penalty, which are made of the same pass where that can be.

    Args:
        classifier: with a penalty.
        images: float (B, H, W, C) from 0 to 1.
        classes: int32 (B,), or labels (B, K) that may hold together.
    """

    def __init__(
        self, classifier: "RobustClassifier", images: tf.Tensor, classes: tf.Tensor
    ) -> None:
        self.classifier = classifier
        penalty_of: Any = classifier.penalty
        self.penalty_of = penalty_of
        self.images, self.classes = images, classes
        self.random = draws(classifier, classes)
        self.weights: tf.Tensor | None = None  # of images, once a part is drawn
        # Dropout must drop the same units before and after a step along the gradient.
        self.states = [
            (variable, tf.identity(variable.value))
            for variable in classifier.network.variables
            if keras.backend.is_int_dtype(variable.dtype)
        ]
        self.slopes: tuple[tf.Tensor, tf.Tensor] | None = None
        if penalty_of.fraction == 1:
            self.logits, self.slopes = self._differentiated(answers)
        else:
            self.logits = answers(classifier, images)

    def penalty(self) -> tf.Tensor:
        """The penalty, a scalar. Further passes put their layers' losses in the place of those of
        the first one, so that these must have been taken before."""
        if self.slopes is None:
            self._draw_part()
            _, self.slopes = self._differentiated(self._again)
        scalar, gradient = self.slopes
        if self.penalty_of.method == "double_backward":
            return self.penalty_of(gradient, self.weights)
        there = self._again(self.classifier, self.images + self.penalty_of.move(gradient))
        change = self.penalty_of.scalar(there, self.classes, self.random) - scalar
        return self.penalty_of.of_change(change, gradient, self.weights)

    def _draw_part(self) -> None:
        uniform = draws(self.classifier, self.classes, 1, PART_DRAWS)[:, 0]
        places, weights = drawn_part(uniform, self.penalty_of.fraction)
        self.weights = tf.cast(weights, self.images.dtype)
        self.images, self.classes, self.random = (
            tf.gather(one, places) for one in (self.images, self.classes, self.random)
        )

    def _again(self, classifier: "RobustClassifier", images: tf.Tensor) -> tf.Tensor:
        return forgotten(classifier, images, self.states)

    def _differentiated(self, network: Any) -> tuple[tf.Tensor, tuple[tf.Tensor, tf.Tensor]]:
        """The logits; the penalty's scalars and their gradient with respect to the images."""
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(self.images)
            logits = network(self.classifier, self.images)
            scalar = self.penalty_of.scalar(logits, self.classes, self.random)
            total = tf.reduce_sum(scalar)
        return logits, (scalar, tape.gradient(total, self.images))
