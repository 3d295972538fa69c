"""What every goal of an attack on maps has: a score with a gradient, and what it comes to."""

import dataclasses
from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np
import tensorflow as tf

from tfrobust.core.config import Configured


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Goal(Configured, ABC):
    """What an attack lowers. A score stands in for what is measured, where that has no gradient."""

    # What a table calls it.
    name: ClassVar[str]
    # Whether the network must go on to predict its class; else it must predict another one.
    keeps_class: ClassVar[bool] = True

    @abstractmethod
    def reference(self, before: np.ndarray) -> np.ndarray:
        """What the score compares a map with.

        Args:
            before: float (N, H, W), the maps of the images as they are.

        Returns:
            float32 (N, H, W).
        """

    @abstractmethod
    def score(self, maps: tf.Tensor, reference: tf.Tensor) -> tf.Tensor:
        """What the attack lowers step by step.

        Args:
            maps: float32 (B, H, W), each divided by its largest absolute value.
            reference: float32 (B, H, W).

        Returns:
            float32 (B,).
        """

    @abstractmethod
    def loss(self, before: np.ndarray, after: np.ndarray) -> np.ndarray:
        """What the attack came to; of several starts, the one that makes it smallest counts.

        Args:
            before: float (N, H, W), the maps of the images as they are.
            after: float (N, H, W), those of the images that the attack changed.

        Returns:
            float64 (N,).
        """


def positive(maps: tf.Tensor) -> tf.Tensor:
    """What speaks for the class, brought to a sum of 1: (B, H, W); 0 where nothing does."""
    kept = tf.nn.relu(maps)
    return tf.math.divide_no_nan(kept, tf.reduce_sum(kept, axis=(1, 2), keepdims=True))
