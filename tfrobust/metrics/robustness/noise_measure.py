"""What measures of robustness share: an image's neighbours, which noise makes, and their maps."""

import dataclasses
from abc import abstractmethod
from typing import NamedTuple

import numpy as np

from tfrobust.errors import InputError
from tfrobust.explanations.explanation import Explanation
from tfrobust.metrics.method_measure import Explained, MethodMeasure


class Neighbours(NamedTuple):
    """One neighbour of each of N images.

    Args:
        images: float32 (N, H, W, C) in [0, 1].
        after: the explanations of the neighbours, of the same targets as those of the images.
    """

    images: np.ndarray
    after: Explanation


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class NoiseMeasure(MethodMeasure[np.ndarray]):
    """Judges a method by what becomes of its maps under normal noise.

    Args:
        rmse: the noise's size before it is cut to [0, 1], at least 0.
        draws: how many neighbours an image has, at least 1.
        seed: of the draws.
    """

    rmse: float = 0.01
    draws: int = 10
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.rmse >= 0 or self.draws < 1:
            raise InputError(
                f"expected a size not below 0 and at least 1 draw, got {self.rmse}, {self.draws}"
            )

    def _judge(self, asked: Explained) -> np.ndarray:
        rng = np.random.default_rng(self.seed)
        images, found = asked.images, []
        for _ in range(self.draws):
            changed = np.clip(images + rng.normal(0, self.rmse, images.shape), 0, 1)
            changed = changed.astype(np.float32)
            after = asked.method(asked.network, changed, asked.before.target)
            found.append(self._compare(asked, Neighbours(changed, after)))
        return self._together(np.stack(found))

    @abstractmethod
    def _compare(self, asked: Explained, near: Neighbours) -> np.ndarray:
        """The images beside one neighbour of each: float64 (N,)."""

    def _together(self, found: np.ndarray) -> np.ndarray:
        """All neighbours together, float64 (draws, N) → (N,): the largest."""
        return found.max(axis=0)


def length(values: np.ndarray) -> np.ndarray:
    """The L2 norm of each of N arrays, float64 (N,)."""
    return np.sqrt((values.astype(np.float64) ** 2).sum(axis=tuple(range(1, values.ndim))))
