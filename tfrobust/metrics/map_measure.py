"""What measures of maps share: does the network's score follow what a map says of the pixels?"""

import dataclasses
from abc import ABC, abstractmethod
from typing import Any, ClassVar

import numpy as np

from tfrobust.core.classifier import Classifier, Model, logits_of
from tfrobust.core.config import Configured
from tfrobust.errors import InputError
from tfrobust.explanations.targets import question
from tfrobust.metrics.scores import Score, scores


@dataclasses.dataclass(frozen=True)
class Judged:
    """N images whose maps are judged, checked.

    Args:
        network: the classifier.
        images: float32 (N, H, W, C) in [0, 1]; N is at least 1.
        classes: int32 (N,), the class explained: the predicted one where none was given.
        maps: float64 (N, H, W), or (N, H, W, 1 or C) where values of channels are judged.
        score: "confidence", the softmax of the class, or "logit".
        batch_size: images that the network sees at a time.
    """

    network: Classifier
    images: np.ndarray
    classes: np.ndarray
    maps: np.ndarray
    score: Score
    batch_size: int

    @property
    def pixels(self) -> int:
        """H·W."""
        return self.images.shape[1] * self.images.shape[2]

    def scores(self, images: np.ndarray) -> np.ndarray:
        """float64 (N,): the score of each one's class for `images`, float (N, H, W, C)."""
        return scores(
            self.network, images, self.classes, score=self.score, batch_size=self.batch_size
        )


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class MapMeasure(Configured, ABC):
    """Judges maps by a network: `Measure(…)(model, images, targets, maps)`.

    Args:
        score: which answer of the network is followed: "confidence", the softmax of the target, or
            "logit".
        batch_size: images that the network sees at a time.

    Raises:
        InputError: a hyper-parameter is outside its range.
    """

    # Whether values of single channels are judged, in maps (N, H, W, C) or (N, H, W, 1).
    of_channels: ClassVar[bool] = False

    score: Score = "confidence"
    batch_size: int = 32

    def __post_init__(self) -> None:
        if self.score not in ("confidence", "logit"):
            raise InputError(f"expected a score of 'confidence' or 'logit', got {self.score!r}")
        check_counts(batch_size=self.batch_size)

    def __call__(self, model: Model, images: Any, targets: Any, maps: Any) -> np.ndarray:
        """Judges maps.

        Args:
            model: what `as_classifier` takes.
            images: float (N, H, W, C) in [0, 1]; N may be 0.
            targets: int (N,) or a single int, the class that is explained; None or −1 for the
                predicted.
            maps: float (N, H, W), how much each pixel matters; of equal ones, the first goes first.
                A measure of attributions takes (N, H, W, C) and (N, H, W, 1) as well, with signs.

        Returns:
            float64 (N,), a number for each image.

        Raises:
            InputError: images outside [0, 1], maps that do not fit them, or a target that is no
                class of the network.
        """
        network, images, classes = question(model, images, targets)
        maps = np.asarray(maps, np.float64)
        shapes = [images.shape[:3]]
        if self.of_channels:
            shapes += [images.shape, (*images.shape[:3], 1)]
        if maps.shape not in shapes:
            raise InputError(f"expected maps of shape {shapes[0]}, got {maps.shape}")
        if not np.isfinite(maps).all():
            raise InputError("expected maps of finite numbers, got some that are NaN or infinite")
        if not len(images):
            return self._of_none()
        logits = logits_of(network, images, 1 if len(images) == 1 else self.batch_size)
        classes = np.where(classes < 0, logits.argmax(axis=-1), classes).astype(np.int32)
        return self._judge(Judged(network, images, classes, maps, self.score, self.batch_size))

    @abstractmethod
    def _judge(self, asked: Judged) -> np.ndarray:
        """The measure's formula: float64 (N,)."""

    def _of_none(self) -> np.ndarray:
        """What it gives where there is no image."""
        return np.zeros(0)


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class CoveringMeasure(MapMeasure):
    """A measure that covers pixels with one value.

    Args:
        fill: the value that covers, from 0 to 1.

    `score` and `batch_size` are those of every `MapMeasure`.
    """

    fill: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.fill <= 1:
            raise InputError(f"expected a fill from 0 to 1, got {self.fill}")

    def _covered(self, images: np.ndarray, pixels: np.ndarray) -> np.ndarray:
        """Images (N, H, W, C) whose pixels, bool (N, H, W), are covered."""
        return np.where(pixels[..., None], np.float32(self.fill), images)


def check_counts(**counts: int) -> None:
    """Refuses counts below 1.

    Raises:
        InputError: says which came.
    """
    for name, count in counts.items():
        if count < 1:
            raise InputError(f"expected {name} of at least 1, got {count}")
