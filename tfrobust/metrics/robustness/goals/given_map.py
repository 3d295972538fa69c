"""A given map: the explanation shall say what the attacker wants it to say."""

import dataclasses
from typing import Any, ClassVar

import numpy as np
import tensorflow as tf

from tfrobust.errors import InputError
from tfrobust.metrics.robustness.goals.goal import Goal


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class GivenMap(Goal):
    """Brings a map towards one that the attacker chose.

    Args:
        maps: float (H, W), one for all images, or (N, H, W).

    Raises:
        InputError: maps of another shape, that are not finite, or without any value but 0.

    Source: arXiv 1906.07983, section 2. There the maps are scaled to a sum of 1, here to a norm of
    1: their squared distance is then 2 − 2·cos of the angle between them.
    """

    name: ClassVar[str] = "given map"

    maps: np.ndarray

    def __post_init__(self) -> None:
        maps = np.asarray(self.maps, np.float64)
        if maps.ndim not in (2, 3) or not np.isfinite(maps).all():
            raise InputError(f"expected finite maps (H, W) or (N, H, W), got shape {maps.shape}")
        if not maps.any(axis=(-2, -1)).all():
            raise InputError("expected maps with values, got some that are 0 everywhere")

    def reference(self, before: np.ndarray) -> np.ndarray:
        """The given maps, at norm 1."""
        if np.shape(self.maps) not in (before.shape, before.shape[1:]):
            raise InputError(
                f"expected given maps of shape {before.shape} or {before.shape[1:]}, got "
                f"{np.shape(self.maps)}"
            )
        maps = np.broadcast_to(np.asarray(self.maps, np.float64), before.shape)
        return _normed(maps).astype(np.float32)

    def score(self, maps: tf.Tensor, reference: tf.Tensor) -> tf.Tensor:
        """1 − cos, from 0 to 2."""
        size = tf.sqrt(tf.reduce_sum(tf.square(maps), axis=(1, 2)) + 1e-12)
        return 1 - tf.reduce_sum(maps * reference, axis=(1, 2)) / size

    def loss(self, before: np.ndarray, after: np.ndarray) -> np.ndarray:
        """1 − cos of the angle between the given map and the one after."""
        shared: Any = (_normed(after.astype(np.float64)) * self.reference(before)).sum(axis=(1, 2))
        found: np.ndarray = 1 - shared
        return found


def _normed(maps: np.ndarray) -> np.ndarray:
    sizes = np.sqrt((maps**2).sum(axis=(1, 2), keepdims=True))
    normed: np.ndarray = maps / np.where(sizes > 0, sizes, 1)
    return normed
