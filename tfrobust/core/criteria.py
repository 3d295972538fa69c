"""Criteria: what an attack looks for, and how far an image still is from it."""

import dataclasses
import json
from abc import ABC, abstractmethod
from collections.abc import Hashable, Sequence
from typing import Any, ClassVar

import numpy as np
import tensorflow as tf

from tfrobust.core.config import Configured
from tfrobust.errors import InputError


class Criterion(Configured, ABC):
    """A condition on the logits of an image, about one class for each image.

    To make one, write a frozen dataclass with the methods below. An attack calls the very
    instance that it is given, inside compiled programs. A program is compiled once for all
    criteria that are equal, so hyper-parameters are fields, and what differs from image to image
    goes in as `classes`.

    Attributes:
        one_rival: whether the criterion is met as soon as `rival_margin` is at most 0 for any one
            rival.
    """

    one_rival: ClassVar[bool] = False

    def classes(self, labels: np.ndarray) -> np.ndarray:
        """The class of each image that the criterion is about: its label, unless told otherwise.

        Args:
            labels: int (B,), the true classes.

        Returns:
            int32 (B,).
        """
        return np.asarray(labels, np.int32)

    def static(self) -> "Criterion":
        """The criterion without what it keeps for each image: what programs are compiled for."""
        return self

    @abstractmethod
    def met(self, logits: tf.Tensor, classes: tf.Tensor) -> tf.Tensor:
        """Whether the criterion is met.

        Args:
            logits: float (B, K).
            classes: int32 (B,), see `classes`.

        Returns:
            bool (B,).
        """

    @abstractmethod
    def loss(self, logits: tf.Tensor, classes: tf.Tensor) -> tf.Tensor:
        """A loss that an attack raises until the criterion is met: float (B,).

        The arguments are those of `met`.
        """

    @abstractmethod
    def margin(self, logits: tf.Tensor, classes: tf.Tensor) -> tf.Tensor:
        """A distance in units of logits that is at most 0 where the criterion is met: float (B,).

        The arguments are those of `met`.
        """

    def rival_margin(self, logits: tf.Tensor, classes: tf.Tensor, rivals: tf.Tensor) -> tf.Tensor:
        """The margin towards one rival class: f_c − f_rival, unless told otherwise.

        Args:
            logits: float (B, K).
            classes: int32 (B,), c.
            rivals: int32 (B,), another class of each image.

        Returns:
            float (B,). Where it falls, the image comes nearer to the criterion.
        """
        own = tf.gather(logits, classes, batch_dims=1)
        return own - tf.gather(logits, rivals, batch_dims=1)

    def rivals(self, logits: tf.Tensor, classes: tf.Tensor) -> tf.Tensor:
        """All other classes, the one with the largest logit first.

        Args:
            logits: float (B, K).
            classes: int32 (B,).

        Returns:
            int32 (B, K − 1).
        """
        chosen = tf.one_hot(classes, tf.shape(logits)[-1], dtype=logits.dtype)
        return tf.argsort(logits - chosen * 1e9, direction="DESCENDING")[:, :-1]

    def __tf_tracing_type__(self, context: Any) -> tf.types.experimental.TraceType:
        """Tells tf.function that equal criteria share a program, whichever object is passed."""
        static = self.static()
        # An attack passes its criterion to a program at every visit: `config` would take longer.
        told: Hashable = tuple(vars(static).items())
        try:
            hash(told)
        except TypeError:
            told = json.dumps(static.config(), sort_keys=True)
        return _StaticCriterion(type(static), told, static)


@dataclasses.dataclass(frozen=True)
class _StaticCriterion(tf.types.experimental.TraceType):
    """The type of a criterion as tf.function's argument: programs are traced with its value."""

    kind: type[Criterion]
    told: Hashable
    criterion: Criterion = dataclasses.field(compare=False)

    def is_subtype_of(self, other: tf.types.experimental.TraceType) -> bool:
        return self == other

    def most_specific_common_supertype(
        self, others: Sequence[tf.types.experimental.TraceType]
    ) -> "_StaticCriterion | None":
        return self if all(self == other for other in others) else None

    def placeholder_value(self, placeholder_context: Any) -> Criterion:
        return self.criterion

    def cast(self, value: Criterion, cast_context: Any) -> Criterion:
        return self.criterion


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
        chosen = tf.one_hot(classes, tf.shape(logits)[-1], dtype=logits.dtype)
        others = tf.reduce_logsumexp(logits - chosen * 1e9, axis=-1)
        rivals = tf.math.log(tf.cast(tf.shape(logits)[-1] - 1, logits.dtype))
        return tf.reduce_sum(chosen * logits, axis=-1) - others + rivals


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
