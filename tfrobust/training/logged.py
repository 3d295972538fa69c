"""What a step of training came to, as Keras' metrics, so that callbacks can watch it."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import keras
import tensorflow as tf

# Callbacks know the direction of compiled metrics only, and this is their type.
from keras.src.trainers.compile_utils import MetricsList

if TYPE_CHECKING:
    from tfrobust.training.classifier import RobustClassifier

# By name, and whether more of it is better ("up"), for callbacks that are told no `mode`.
DIRECTIONS = {
    "cross_entropy": "down",
    "classification_loss": "down",
    "penalty": "down",
    "psi": "up",
    "integral": "up",
    "evidence": "down",
}


def values_of_steps(classifier: "RobustClassifier") -> list[str]:
    """The names of what the steps of a compiled classifier come to, beside Keras' loss."""
    found = []
    parts = (classifier.penalty, classifier.adversarial, classifier.evidence)
    if classifier.loss is None or any(part is not None for part in parts):
        found.append(classifier.loss_name)  # else it is what Keras calls loss
    if classifier.penalty is not None:
        found += ["penalty", "psi", "integral"]
    if classifier.evidence is not None:
        found.append("evidence")
    return found


class StepMeans:
    """Means over an epoch's steps.

    They are no part of the model that is saved: this class is neither Keras' nor TensorFlow's, so
    that files hold what they held before one of these was named.
    """

    def __init__(self) -> None:
        self.metric = _Means()

    @property
    def names(self) -> tuple[str, ...]:
        """Of the means that are logged."""
        return self.metric.shown

    def show(self, *names: str) -> None:
        """Chooses which means are logged."""
        self.metric.shown = names

    def update(self, values: Mapping[str, tf.Tensor], images: tf.Tensor) -> None:
        """Counts a step's values, scalars, as often as the batch has images."""
        for mean in self.metric.metrics:
            if mean.name in self.names and mean.name in values:
                mean.update_state(values[mean.name], sample_weight=tf.shape(images)[0])


class _Means(MetricsList):
    def __init__(self) -> None:
        means = [keras.metrics.Mean(name=name) for name in DIRECTIONS]
        for mean in means:
            mean._direction = DIRECTIONS[mean.name]
        super().__init__(means, name="step")
        self.shown: tuple[str, ...] = ()

    def result(self) -> dict[str, Any]:
        """The means that are shown, by name."""
        return {mean.name: mean.result() for mean in self.metrics if mean.name in self.shown}
