"""Another class: a map that stays the same tells nothing of the class that it explains."""

import dataclasses

import numpy as np

from tfrobust.errors import InputError
from tfrobust.metrics.method_measure import Explained, MethodMeasure
from tfrobust.metrics.similarity import rank_correlation


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class RandomLogit(MethodMeasure[np.ndarray]):
    """How alike a method's maps of the target and of another class are: Spearman's correlation.

    Near 1, the map does not depend on the class. It refuses a network of one class.

    Args:
        seed: of the other classes, drawn for each image.

    Source: Sixt et al., arXiv 1912.09818, section 3.
    """

    seed: int = 0

    def _judge(self, asked: Explained) -> np.ndarray:
        images = asked.images
        if not len(images):
            return np.zeros(0)
        count = asked.network.check(images)
        if count < 2:
            raise InputError("expected a network of at least two classes, got one class")
        steps = np.random.default_rng(self.seed).integers(1, count, len(images))
        after = asked.method(asked.network, images, (asked.before.target + steps) % count)
        return rank_correlation(asked.before.map, after.map)
