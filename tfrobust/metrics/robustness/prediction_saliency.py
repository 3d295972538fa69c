"""Prediction–saliency correlation: does a map move when the prediction does, and only then?"""

import dataclasses
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tfrobust.errors import InputError
from tfrobust.explanations.adversarial import explain
from tfrobust.metrics.method_measure import Explained, MethodMeasure
from tfrobust.metrics.robustness.goals.rank_order import RankOrder
from tfrobust.metrics.robustness.goals.same_map import SameMap
from tfrobust.metrics.robustness.manipulation import Manipulation
from tfrobust.metrics.similarity import correlation
from tfrobust.metrics.table import Mean

WINDOW = 11  # of the structural similarity, as its paper has it
RESAMPLES = 2000


class Changes(NamedTuple):
    """What one way to change N images did.

    Args:
        prediction: float64 (N,) from 0 to 1, by how much the target's confidence changed.
        map: float64 (N,) from 0 to 2, 1 − the structural similarity of the maps before and after.
    """

    prediction: np.ndarray
    map: np.ndarray


@dataclasses.dataclass(frozen=True)
class PredictionSaliency:
    """How well a method's maps follow the prediction, and what that was computed from.

    Args:
        sensitivity: Pearson's correlation of both changes over two neighbours of every image:
            noise, and the one whose class is another while its map was kept alike. With its 95 %
            bootstrap interval over images.
        robustness: likewise over g_explain−, and the neighbour whose map was changed while its
            class was kept.
        noise: what noise of the size allowed did.
        misled: what g_explain− of that size did.
        hidden: what the attack did that changes the class and keeps the map.
        distorted: what the attack did that keeps the class and changes the map.
    """

    sensitivity: Mean
    robustness: Mean
    noise: Changes
    misled: Changes
    hidden: Changes
    distorted: Changes


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class PredictionSaliencyCorrelation(MethodMeasure[PredictionSaliency]):
    """Judges a method by maps of neighbours that an attacker chose.

    A map that can be trusted changes where the prediction does, even if an attacker tries to hide
    it (sensitivity), and stays where the prediction stays, even if an attacker tries to change it
    (robustness). Both are from −1 to 1, and 0 for maps that know nothing of the prediction.

    Args:
        rho: the largest change of an image, RMSE in units of pixels from 0 to 1.
        steps: gradients of each attack on a map.
        seed: of noise and starts.
        batch_size: images that the network sees at a time while maps are attacked.

    Source: Zhang et al., Radiology: Artificial Intelligence 6 (2024), PMC10831523: the question,
    both attacks and the correlation. Which neighbours stand beside the attacked ones is our choice.
    """

    rho: float = 0.02
    steps: int = 30
    seed: int = 0
    batch_size: int = 32

    def __post_init__(self) -> None:
        if not 0 < self.rho <= 1 or self.steps < 1:
            raise InputError(
                "expected a size above 0 and at most 1 and at least 1 step, got "
                f"{self.rho}, {self.steps}"
            )

    def _judge(self, asked: Explained) -> PredictionSaliency:
        if not len(asked.images):
            raise InputError("expected at least one image, got none")
        network, images, targets = asked.network, asked.images, asked.before.target
        noise = np.random.default_rng(self.seed).normal(0, self.rho, images.shape)
        away = explain(network, images, targets, rho=self.rho, direction=-1).explanation
        hidden, distorted = (
            Manipulation(
                goal=goal,
                rho=self.rho,
                steps=self.steps,
                restarts=1,
                seed=self.seed,
                batch_size=self.batch_size,
            )(network, asked.method, images, targets).adversarials
            for goal in (SameMap(), RankOrder())
        )
        noisy, misled, unseen, moved = (
            self._changes(asked, changed) for changed in (images + noise, away, hidden, distorted)
        )
        return PredictionSaliency(
            sensitivity=pooled(noisy, unseen, seed=self.seed),
            robustness=pooled(misled, moved, seed=self.seed),
            noise=noisy,
            misled=misled,
            hidden=unseen,
            distorted=moved,
        )

    def _changes(self, asked: Explained, images: np.ndarray) -> Changes:
        images = np.clip(images, 0, 1).astype(np.float32)
        after = asked.method(asked.network, images, asked.before.target)
        rows, target = np.arange(len(images)), asked.before.target
        confidence = (
            tf.nn.softmax(logits).numpy()[rows, target]
            for logits in (asked.logits_before, asked.logits(images))
        )
        first, second = confidence
        return Changes(
            np.abs(first - second).astype(np.float64),
            1 - structural_similarity(asked.before.map, after.map),
        )


def structural_similarity(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """The likeness of two maps as pictures, each stretched from 0 to 1.

    Args:
        one: float (N, H, W).
        other: float (N, H, W).

    Returns:
        float64 (N,) from −1 to 1, 1 for equal pictures.

    Source: Wang et al., IEEE Transactions on Image Processing 13 (2004), SSIM, as TensorFlow has
    it.
    """
    first, second = (_stretched(maps)[..., None] for maps in (one, other))
    window = min(WINDOW, *one.shape[1:])
    alike: np.ndarray = tf.image.ssim(first, second, 1.0, filter_size=window).numpy()
    return alike.astype(np.float64)


def pooled(one: Changes, other: Changes, *, seed: int = 0) -> Mean:
    """Pearson's correlation of the changes of prediction and map, over two neighbours an image.

    Args:
        one: N images' first neighbours.
        other: their second ones.
        seed: of the bootstrap, which draws images with both their neighbours.

    Returns:
        The correlation, 0 where either does not differ, with its 95 % interval.
    """
    pairs = np.stack([np.stack(one), np.stack(other)], axis=1)  # (2 changes, 2 neighbours, N)
    count = pairs.shape[-1]
    drawn = np.random.default_rng(seed).integers(0, count, (RESAMPLES, count))
    prediction, map_ = pairs[:, :, drawn].transpose(0, 2, 1, 3).reshape(2, RESAMPLES, -1)
    low, high = np.percentile(correlation(prediction, map_), [2.5, 97.5])
    whole = correlation(*pairs.reshape(2, 1, -1))
    return Mean(float(whole[0]), float(low), float(high))


def _stretched(maps: np.ndarray) -> np.ndarray:
    low, high = maps.min(axis=(1, 2), keepdims=True), maps.max(axis=(1, 2), keepdims=True)
    stretched = (maps - low) / np.where(high > low, high - low, 1)
    return stretched.astype(np.float32)
