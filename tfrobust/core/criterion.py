"""What an attack looks for: the interface that every criterion has."""

import dataclasses
import json
from abc import ABC, abstractmethod
from collections.abc import Hashable, Sequence
from typing import Any, ClassVar

import numpy as np
import tensorflow as tf

from tfrobust.core.config import Configured


class Criterion(Configured, ABC):
    """A condition on the logits of an image, about one class for each image.

    To make one, write a frozen dataclass with the methods below. An attack calls the very
    instance that it is given, inside compiled programs. A program is compiled once for all
    criteria that are equal, so hyper-parameters are fields, and what differs from image to image
    goes in as `classes`.

    Attributes:
        one_rival: whether the criterion is met as soon as `rival_margin` is at most 0 for any one
            rival.
        of_labels: whether it is about labels that may hold together, as `as_labels` has them, and
            not about classes that exclude one another.
    """

    one_rival: ClassVar[bool] = False
    of_labels: ClassVar[bool] = False

    def classes(self, labels: np.ndarray) -> np.ndarray:
        """The class of each image that the criterion is about: its label, unless told otherwise.

        Args:
            labels: int (B,), the true classes; int (B, K), 0 and 1, where it is `of_labels`.

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
