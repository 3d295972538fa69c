"""What measures of methods share: what becomes of a method's maps when something else changes?"""

import dataclasses
import functools
from abc import ABC, abstractmethod
from typing import Any, Generic, TypeVar

import numpy as np

from tfrobust.core.classifier import Classifier, Model, logits_of
from tfrobust.core.config import Configured
from tfrobust.explanations.base import Method
from tfrobust.explanations.explanation import Explanation
from tfrobust.explanations.targets import question

Found = TypeVar("Found")


@dataclasses.dataclass(frozen=True)
class Explained:
    """N images and a method's explanations of them, checked.

    Args:
        network: the classifier.
        method: what explains.
        images: float32 (N, H, W, C) in [0, 1]; N may be 0.
        before: the explanations, before anything changes.
    """

    network: Classifier
    method: Method
    images: np.ndarray
    before: Explanation

    def logits(self, images: np.ndarray) -> np.ndarray:
        """The network's answers (N, K) to `images`, float (N, H, W, C)."""
        if not len(images):
            return np.zeros((0, 1))
        return logits_of(self.network, images, 1 if len(images) == 1 else 32)

    @functools.cached_property
    def logits_before(self) -> np.ndarray:
        """Those to the images, asked for once."""
        return self.logits(self.images)


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class MethodMeasure(Configured, ABC, Generic[Found]):
    """Judges a method by a network: `Measure(…)(model, method, images, targets)`.

    Raises:
        InputError: a hyper-parameter is outside its range.
    """

    def __call__(
        self,
        model: Model,
        method: Method,
        images: Any,
        targets: Any = None,
        *,
        before: Explanation | None = None,
    ) -> Found:
        """Judges a method by its explanations of images.

        Args:
            model: what `as_classifier` takes.
            method: what makes the maps.
            images: float (N, H, W, C) in [0, 1]; N may be 0.
            targets: int (N,) or a single int; None or −1 for the class that is predicted before
                anything changes, which stays the target.
            before: the method's explanations before anything changes, where they are known.

        Returns:
            float64 (N,), a number for each image, unless the measure says otherwise.

        Raises:
            InputError: what the method refuses.
        """
        network, images, targets = question(model, images, targets)
        before = before or method(network, images, targets)
        return self._judge(Explained(network, method, images, before))

    @abstractmethod
    def _judge(self, asked: Explained) -> Found:
        """The measure's formula."""
