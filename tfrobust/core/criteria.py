"""What an attack wants: when its goal is met, and the margin left until then."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import numpy as np
import tensorflow as tf

from tfrobust.errors import InputError


class Criterion(ABC):
    """A goal about one class per image.

    The goals are static, and the classes come as tensors, so that one compiled program
    serves every batch.
    """

    def classes(self, labels: np.ndarray) -> np.ndarray:
        """The class per image that the goal is about: its label, unless a target is set.

        Args:
            labels: int (B,), the true classes.

        Returns:
            int32 (B,).
        """
        return np.asarray(labels, np.int32)

    @staticmethod
    @abstractmethod
    def met(logits: tf.Tensor, classes: tf.Tensor) -> tf.Tensor:
        """Whether the goal is met: logits (B, K), classes int (B,) → bool (B,)."""

    @staticmethod
    @abstractmethod
    def loss(logits: tf.Tensor, classes: tf.Tensor) -> tf.Tensor:
        """What to raise on the way to the goal: logits (B, K), classes (B,) → float (B,)."""

    @staticmethod
    @abstractmethod
    def margin(logits: tf.Tensor, classes: tf.Tensor) -> tf.Tensor:
        """A distance in logits, at most 0 where the goal is met: (B, K), (B,) → (B,)."""

    # Whether a rival margin of at most 0 meets the goal, whichever the rival.
    one_rival: ClassVar[bool] = False

    @staticmethod
    def rival_margin(logits: tf.Tensor, classes: tf.Tensor, rivals: tf.Tensor) -> tf.Tensor:
        """f_c − f_rival: (B, K), (B,), (B,) → (B,); at most 0 is a way to the goal."""
        own = tf.gather(logits, classes, batch_dims=1)
        return own - tf.gather(logits, rivals, batch_dims=1)

    @staticmethod
    def rivals(logits: tf.Tensor, classes: tf.Tensor) -> tf.Tensor:
        """All other classes, the largest logit first: (B, K), (B,) → int32 (B, K − 1)."""
        chosen = tf.one_hot(classes, tf.shape(logits)[-1], dtype=logits.dtype)
        return tf.argsort(logits - chosen * 1e9, direction="DESCENDING")[:, :-1]


def cross_entropy(logits: tf.Tensor, classes: tf.Tensor) -> tf.Tensor:
    """−log softmax of each image's class: logits (B, K), classes int (B,) → (B,).

    Written out, because the fused operation's gradient does not convert to ONNX.
    """
    chosen = tf.one_hot(classes, tf.shape(logits)[-1], dtype=logits.dtype)
    return -tf.reduce_sum(chosen * tf.nn.log_softmax(logits), axis=-1)


def class_margin(logits: tf.Tensor, classes: tf.Tensor) -> tf.Tensor:
    """f_c − max over k≠c of f_k: logits (B, K), classes int (B,) → (B,)."""
    chosen = tf.one_hot(classes, tf.shape(logits)[-1], dtype=logits.dtype)
    rivals = tf.reduce_max(logits - chosen * 1e9, axis=-1)
    return tf.reduce_sum(chosen * logits, axis=-1) - rivals


class Misclassified(Criterion):
    """The image is no longer given its label: argmax ≠ y ("attack" in arXiv 1906.02896)."""

    one_rival = True

    @staticmethod
    def met(logits: tf.Tensor, classes: tf.Tensor) -> tf.Tensor:
        """argmax ≠ y."""
        return tf.argmax(logits, axis=-1, output_type=tf.int32) != classes

    @staticmethod
    def loss(logits: tf.Tensor, classes: tf.Tensor) -> tf.Tensor:
        """The cross-entropy of y."""
        return cross_entropy(logits, classes)

    @staticmethod
    def margin(logits: tf.Tensor, classes: tf.Tensor) -> tf.Tensor:
        """f_y − max of the others."""
        return class_margin(logits, classes)


class BelowChance(Criterion):
    """The label is no likelier than a guess: softmax_y ≤ 1/K ("BTR", better than random)."""

    @staticmethod
    def met(logits: tf.Tensor, classes: tf.Tensor) -> tf.Tensor:
        """softmax_y ≤ 1/K."""
        chance = tf.math.log(tf.cast(tf.shape(logits)[-1], logits.dtype))
        return cross_entropy(logits, classes) >= chance

    @staticmethod
    def loss(logits: tf.Tensor, classes: tf.Tensor) -> tf.Tensor:
        """The cross-entropy of y."""
        return cross_entropy(logits, classes)

    @staticmethod
    def margin(logits: tf.Tensor, classes: tf.Tensor) -> tf.Tensor:
        """log odds of y over those of chance: f_y − logsumexp of the others + log(K − 1)."""
        chosen = tf.one_hot(classes, tf.shape(logits)[-1], dtype=logits.dtype)
        others = tf.reduce_logsumexp(logits - chosen * 1e9, axis=-1)
        rivals = tf.math.log(tf.cast(tf.shape(logits)[-1] - 1, logits.dtype))
        return tf.reduce_sum(chosen * logits, axis=-1) - others + rivals


class TargetClass(Criterion):
    """The image is given a chosen class.

    Args:
        targets: int (B,), one class an image, or a single int for all.
    """

    def __init__(self, targets: Any) -> None:
        self.targets = np.asarray(targets, np.int32)

    def classes(self, labels: np.ndarray) -> np.ndarray:
        """The targets, one an image.

        Raises:
            InputError: as many targets as images were expected.
        """
        if self.targets.ndim and len(self.targets) != len(labels):
            raise InputError(f"expected {len(labels)} targets, got {len(self.targets)}")
        return np.broadcast_to(self.targets, np.shape(labels))

    @staticmethod
    def met(logits: tf.Tensor, classes: tf.Tensor) -> tf.Tensor:
        """argmax = target."""
        return tf.argmax(logits, axis=-1, output_type=tf.int32) == classes

    @staticmethod
    def loss(logits: tf.Tensor, classes: tf.Tensor) -> tf.Tensor:
        """Minus the cross-entropy of the target."""
        return -cross_entropy(logits, classes)

    @staticmethod
    def margin(logits: tf.Tensor, classes: tf.Tensor) -> tf.Tensor:
        """Largest of the others − f_target."""
        return -class_margin(logits, classes)

    @staticmethod
    def rival_margin(logits: tf.Tensor, classes: tf.Tensor, rivals: tf.Tensor) -> tf.Tensor:
        """f_rival − f_target."""
        return -Criterion.rival_margin(logits, classes, rivals)
