"""Criteria: what an attack looks for, and how far an image still is from it."""

import dataclasses
import numbers
from typing import Any

import numpy as np
import tensorflow as tf

from tfrobust.core.criterion import Criterion
from tfrobust.core.outputs import logit
from tfrobust.errors import InputError


def cross_entropy(logits: tf.Tensor, classes: tf.Tensor) -> tf.Tensor:
    """−log softmax of each image's class.

    It is written out, because the gradient of TensorFlow's fused operation does not convert to
    ONNX.

    Args:
        logits: float (B, K).
        classes: int (B,).

    Returns:
        float (B,), in nats.
    """
    chosen = tf.one_hot(classes, tf.shape(logits)[-1], dtype=logits.dtype)
    return -tf.reduce_sum(chosen * tf.nn.log_softmax(logits), axis=-1)


def log_odds(logits: tf.Tensor, classes: tf.Tensor) -> tf.Tensor:
    """log(p / (1 − p)) of each image's class, where p is its softmax.

    That is f_c − logsumexp of the others. It rises where the cross-entropy falls, but its gradient
    does not vanish where p is near 1. It takes and gives what `cross_entropy` does.
    """
    chosen = tf.one_hot(classes, tf.shape(logits)[-1], dtype=logits.dtype)
    rivals = tf.reduce_logsumexp(logits - chosen * 1e9, axis=-1)
    return tf.reduce_sum(chosen * logits, axis=-1) - rivals


def label_cross_entropy(logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """The mean binary cross-entropy over labels that may hold together.

    Args:
        logits: float (B, K).
        labels: numbers (B, K) from 0 to 1.

    Returns:
        float (B,), in nats.
    """
    each = tf.nn.softplus(logits) - tf.cast(labels, logits.dtype) * logits
    return tf.reduce_mean(each, axis=-1)


def class_margin(logits: tf.Tensor, classes: tf.Tensor) -> tf.Tensor:
    """f_c − max over k≠c of f_k.

    Args:
        logits: float (B, K).
        classes: int (B,), c.

    Returns:
        float (B,).
    """
    chosen = tf.one_hot(classes, tf.shape(logits)[-1], dtype=logits.dtype)
    rivals = tf.reduce_max(logits - chosen * 1e9, axis=-1)
    return tf.reduce_sum(chosen * logits, axis=-1) - rivals


@dataclasses.dataclass(frozen=True, eq=False)
class Misclassified(Criterion):
    """The network no longer gives the image its label: argmax ≠ y.

    Source: "attack" in arXiv 1906.02896.
    """

    one_rival = True

    def met(self, logits: tf.Tensor, classes: tf.Tensor) -> tf.Tensor:
        """argmax ≠ y."""
        return tf.argmax(logits, axis=-1, output_type=tf.int32) != classes

    def loss(self, logits: tf.Tensor, classes: tf.Tensor) -> tf.Tensor:
        """The cross-entropy of y."""
        return cross_entropy(logits, classes)

    def margin(self, logits: tf.Tensor, classes: tf.Tensor) -> tf.Tensor:
        """f_y − max of the others."""
        return class_margin(logits, classes)


@dataclasses.dataclass(frozen=True, eq=False)
class BelowChance(Criterion):
    """The label is no likelier than a guess: softmax_y ≤ 1/K.

    Source: "BTR" (better than random) in arXiv 1906.02896.
    """

    def met(self, logits: tf.Tensor, classes: tf.Tensor) -> tf.Tensor:
        """softmax_y ≤ 1/K."""
        chance = tf.math.log(tf.cast(tf.shape(logits)[-1], logits.dtype))
        return cross_entropy(logits, classes) >= chance

    def loss(self, logits: tf.Tensor, classes: tf.Tensor) -> tf.Tensor:
        """The cross-entropy of y."""
        return cross_entropy(logits, classes)

    def margin(self, logits: tf.Tensor, classes: tf.Tensor) -> tf.Tensor:
        """The log odds of y over those of a guess: f_y − logsumexp of the others + log(K − 1)."""
        return log_odds(logits, classes) + self._others(logits)

    def rival_margin(self, logits: tf.Tensor, classes: tf.Tensor, rivals: tf.Tensor) -> tf.Tensor:
        """f_y − f_rival + ½·log(K − 1).

        The whole logarithm would be needed if the rival had all of the others' probability, none
        if they shared it alike. Most minima lie in between.
        """
        return super().rival_margin(logits, classes, rivals) + 0.5 * self._others(logits)

    @staticmethod
    def _others(logits: tf.Tensor) -> tf.Tensor:
        """log(K − 1)."""
        return tf.math.log(tf.cast(tf.shape(logits)[-1] - 1, logits.dtype))


@dataclasses.dataclass(frozen=True, eq=False)
class TargetClass(Criterion):
    """The network gives the image a chosen class: argmax = target.

    Args:
        targets: an int for all images, or int (N,), one class for each.

    Raises:
        InputError: the targets are no whole numbers, or neither one nor a list.
    """

    targets: Any

    def __post_init__(self) -> None:
        targets = np.asarray(self.targets)
        if targets.ndim > 1 or not (np.issubdtype(targets.dtype, np.integer) or not targets.size):
            raise InputError(
                "expected the targets to be a class, or a list of one class for each image, as "
                f"whole numbers; got {targets.dtype} of shape {targets.shape}"
            )
        # A tuple can be hashed, an array cannot.
        plain = targets.tolist()
        object.__setattr__(self, "targets", tuple(plain) if targets.ndim else plain)

    def classes(self, labels: np.ndarray) -> np.ndarray:
        """The targets, one for each image.

        Raises:
            InputError: there are more or fewer targets than images.
        """
        targets = np.asarray(self.targets, np.int32)
        if targets.ndim and len(targets) != len(labels):
            raise InputError(f"expected {len(labels)} targets, one an image, got {len(targets)}")
        return np.broadcast_to(targets, np.shape(labels))

    def static(self) -> "TargetClass":
        """Any target class: the targets reach a program as `classes`."""
        return TargetClass(0)

    def met(self, logits: tf.Tensor, classes: tf.Tensor) -> tf.Tensor:
        """argmax = target."""
        return tf.argmax(logits, axis=-1, output_type=tf.int32) == classes

    def loss(self, logits: tf.Tensor, classes: tf.Tensor) -> tf.Tensor:
        """Minus the cross-entropy of the target."""
        return -cross_entropy(logits, classes)

    def margin(self, logits: tf.Tensor, classes: tf.Tensor) -> tf.Tensor:
        """The largest of the others − f_target."""
        return -class_margin(logits, classes)

    def rival_margin(self, logits: tf.Tensor, classes: tf.Tensor, rivals: tf.Tensor) -> tf.Tensor:
        """f_rival − f_target."""
        return -Criterion.rival_margin(self, logits, classes, rivals)


@dataclasses.dataclass(frozen=True, eq=False)
class LabelFlip(Criterion):
    """The network decides otherwise about one of its labels than the truth is (multi-label).

    It decides that the label holds where the sigmoid of its logit is above the threshold.

    Args:
        label: which of the K labels, from 0.
        threshold: above which confidence it holds, between 0 and 1.

    Raises:
        InputError: the label is no number from 0, or the threshold not between 0 and 1.
    """

    of_labels = True

    label: int
    threshold: float = 0.5

    def __post_init__(self) -> None:
        whole = isinstance(self.label, numbers.Integral) and not isinstance(self.label, bool)
        if not whole or self.label < 0:
            raise InputError(f"expected a label as a number from 0, got {self.label!r}")
        if not 0 < self.threshold < 1:
            raise InputError(f"expected a threshold between 0 and 1, got {self.threshold!r}")

    def classes(self, labels: np.ndarray) -> np.ndarray:
        """Which label and whether it holds, in one number: int32 (B,), 2·label + truth.

        Raises:
            InputError: there are not that many labels.
        """
        if self.label >= labels.shape[1]:
            raise InputError(
                f"expected a label below {labels.shape[1]}, the network's number of labels, got "
                f"{self.label}"
            )
        return (2 * self.label + labels[:, self.label]).astype(np.int32)

    def static(self) -> "LabelFlip":
        """Any label: which one reaches a program in `classes`."""
        return dataclasses.replace(self, label=0)

    def met(self, logits: tf.Tensor, classes: tf.Tensor) -> tf.Tensor:
        """Whether the decision differs from the truth."""
        holds = tf.gather(logits, classes // 2, batch_dims=1) > self._threshold
        return holds != (classes % 2 == 1)

    def loss(self, logits: tf.Tensor, classes: tf.Tensor) -> tf.Tensor:
        """The binary cross-entropy of the label, as if the threshold were ½."""
        return tf.nn.softplus(-self.margin(logits, classes))

    def margin(self, logits: tf.Tensor, classes: tf.Tensor) -> tf.Tensor:
        """How far the label's logit is on the right side of the threshold's."""
        sign = tf.cast(2 * (classes % 2) - 1, logits.dtype)
        return sign * (tf.gather(logits, classes // 2, batch_dims=1) - self._threshold)

    def rival_margin(self, logits: tf.Tensor, classes: tf.Tensor, rivals: tf.Tensor) -> tf.Tensor:
        """The margin: a label has no rival."""
        return self.margin(logits, classes)

    def rivals(self, logits: tf.Tensor, classes: tf.Tensor) -> tf.Tensor:
        """None: int32 (B, 0)."""
        return tf.zeros([len(classes), 0], tf.int32)

    @property
    def _threshold(self) -> float:
        """The threshold as a logit."""
        return logit(self.threshold)
