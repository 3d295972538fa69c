"""Manipulation of explanations: the picture looks the same, the class stays, the map does not.

The map's likeness to what it was is lowered step by step along its own gradient, inside a ball
around the image, as in Ghorbani et al., arXiv 1710.10547. The gradient of a gradient of a ReLU
network is zero almost everywhere, so it is taken of the same network with softplus in the place
of ReLU, as in Dombrowski et al., arXiv 1906.07983. Where there is none even so, a random search
stands in. What counts in the end are the maps of the network itself.
"""

import dataclasses
import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf
from scipy.stats import rankdata

from tfrobust.core.batching import batches
from tfrobust.core.classifier import Classifier, Model, compiled
from tfrobust.core.config import Configured
from tfrobust.core.distances import unit
from tfrobust.core.door import as_classifier
from tfrobust.errors import InputError
from tfrobust.explanations.base import Method
from tfrobust.explanations.explanation import Explanation
from tfrobust.explanations.targets import question
from tfrobust.metrics.similarity import rank_correlation, top_k_overlap
from tfrobust.models.convert import softplus


@dataclasses.dataclass(frozen=True)
class ManipulatedExplanation:
    """What an attack made of a method's explanations of N images.

    Args:
        adversarials: float32 (N, H, W, C) in [0, 1]; the network predicts what it did. The image
            itself where nothing was found that lowers the correlation.
        rmse: float32 (N,), size of the change in units of pixels from 0 to 1.
        before: the explanations of the images.
        after: those of `adversarials`, of the same targets.
        rank_correlation: float64 (N,), Spearman's correlation of the maps before and after.
        top_k_overlap: float64 (N,), the part of the most important pixels that stayed so.
        noise_rank_correlation: float64 (N,), for noise of the size allowed, to compare with.
        noise_top_k_overlap: float64 (N,), likewise.
        by_gradient: bool (N,), whether the map had a gradient to follow; a random search if not.
        surrogate: whose gradient was followed: "the network" or "the network with softplus".
    """

    adversarials: np.ndarray
    rmse: np.ndarray
    before: Explanation
    after: Explanation
    rank_correlation: np.ndarray
    top_k_overlap: np.ndarray
    noise_rank_correlation: np.ndarray
    noise_top_k_overlap: np.ndarray
    by_gradient: np.ndarray
    surrogate: str


def _likeness(
    method: Method,
    model: Classifier,
    images: tf.Tensor,
    targets: tf.Tensor,
    ranks: tf.Tensor,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Correlation of a map with the ranks of what it was, and its gradient for the image.

    Ranks, because what is to fall in the end is a rank correlation; the map's own ranks have no
    gradient. Returns (B,), in [−1, 1], and (B, H, W, C), zero where there is none.
    """
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(images)
        pixels = method.pixels(method.attribution(model, images, targets))
        # Brought near 1 first: squares of a confident network's gradients are 0 in float32.
        largest = tf.stop_gradient(tf.reduce_max(tf.abs(pixels), axis=(1, 2), keepdims=True))
        pixels = tf.math.divide_no_nan(pixels, largest)
        pixels -= tf.reduce_mean(pixels, axis=(1, 2), keepdims=True)
        spread = tf.sqrt(tf.reduce_sum(tf.square(pixels), axis=(1, 2)) + 1e-12)
        score = tf.reduce_sum(pixels * ranks, axis=(1, 2)) / spread
        total = tf.reduce_sum(score)
    gradient = tape.gradient(total, images, unconnected_gradients="zero")
    return score, tf.where(tf.math.is_finite(gradient), gradient, 0.0)


@compiled
def _classes(model: Classifier, images: tf.Tensor) -> tf.Tensor:
    return tf.argmax(model(images), axis=-1, output_type=tf.int32)


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Manipulation(Configured):
    """Looks for the change of a given size that keeps the class and changes a map the most.

    Args:
        rho: the largest change, RMSE in units of pixels from 0 to 1.
        steps: gradients taken per start.
        restarts: random starts; the best of all counts.
        sharpness: β of the softplus that stands for ReLU while gradients are taken.
        top_share: the most important pixels' share of all, for the overlap.
        seed: of starts and random directions.
        batch_size: images that the network sees at a time.

    Source: arXiv 1710.10547; the measure lowered is ours.
    """

    rho: float = 0.01
    steps: int = 50
    restarts: int = 2
    sharpness: float = 30.0
    top_share: float = 0.1
    seed: int = 0
    batch_size: int = 32

    def __post_init__(self) -> None:
        if not 0 < self.rho <= 1 or not self.sharpness > 0 or not 0 < self.top_share <= 1:
            raise InputError(
                "expected a size and a share above 0 and at most 1 and a sharpness above 0, got "
                f"{self.rho}, {self.top_share}, {self.sharpness}"
            )
        if min(self.steps, self.restarts, self.batch_size) < 1:
            raise InputError(
                "expected steps, restarts and a batch_size of at least 1, got "
                f"{self.steps}, {self.restarts}, {self.batch_size}"
            )

    def __call__(
        self, model: Model, method: Method, images: Any, targets: Any = None
    ) -> ManipulatedExplanation:
        """Attacks a method's explanations of images.

        Args:
            model: what `as_classifier` takes.
            method: whose maps are to change.
            images: float (N, H, W, C) in [0, 1].
            targets: int (N,) or a single int, the class explained; None or −1 for the predicted.

        Returns:
            The changed images and how far their maps are from what they were.

        Raises:
            InputError: what the method refuses.
        """
        network, images, targets = question(model, images, targets)
        before = method(network, images, targets)
        surrogate = _smooth(network, self.sharpness)
        likeness = compiled(functools.partial(_likeness, method))
        size = max(1, min(len(images), self.batch_size // method.passes(images)))
        rng = np.random.default_rng(self.seed)
        best, correlation = images.copy(), np.ones(len(images))
        by_gradient, noise = np.zeros(len(images), bool), images
        for restart in range(self.restarts):
            start = self._inside(images, self._step(rng.normal(size=images.shape)))
            noise = np.clip(images + start, 0, 1) if restart == 0 else noise
            found = np.empty_like(images)
            for rows, count in batches(len(images), size):
                walked, followed = self._walk(
                    network, surrogate, likeness, images[rows], before, rows, start[rows]
                )
                found[rows[:count]] = walked[:count]
                by_gradient[rows[:count]] |= followed[:count]
            reached = rank_correlation(before.map, method(network, found, before.target).map)
            better = reached < correlation
            best[better], correlation[better] = found[better], reached[better]
        after = method(network, best, before.target)
        by_noise = method(network, noise, before.target)
        return ManipulatedExplanation(
            adversarials=best,
            rmse=np.sqrt(np.mean(np.square(best - images), axis=(1, 2, 3))),
            before=before,
            after=after,
            rank_correlation=rank_correlation(before.map, after.map),
            top_k_overlap=top_k_overlap(before.map, after.map, share=self.top_share),
            noise_rank_correlation=rank_correlation(before.map, by_noise.map),
            noise_top_k_overlap=top_k_overlap(before.map, by_noise.map, share=self.top_share),
            by_gradient=by_gradient,
            surrogate="the network" if surrogate is network else "the network with softplus",
        )

    def _step(self, direction: np.ndarray) -> np.ndarray:
        """Directions (B, H, W, C) brought to the largest size."""
        pixels = direction[0].size if len(direction) else 1
        return self.rho * math.sqrt(pixels) * unit(tf.constant(direction, tf.float32)).numpy()

    def _inside(self, images: np.ndarray, delta: np.ndarray) -> np.ndarray:
        """The nearest change that is small enough, without what leaves [0, 1]."""
        size = np.sqrt(np.mean(np.square(delta), axis=(1, 2, 3), keepdims=True))
        delta = delta * np.minimum(1, self.rho / np.maximum(size, 1e-12))
        return np.clip(images + delta, 0, 1) - images

    def _walk(
        self,
        network: Classifier,
        surrogate: Classifier,
        likeness: Callable[..., Any],
        images: np.ndarray,
        before: Explanation,
        rows: np.ndarray,
        delta: np.ndarray,
    ) -> tuple[np.ndarray, np.ndarray]:
        """One block from one start: → the changed images (B, H, W, C), gradient followed (B,)."""
        targets = tf.constant(before.target[rows])
        seen = _classes(network, tf.constant(images)).numpy()
        ranks = tf.constant(_standardised_ranks(before.map[rows]))
        rng = np.random.default_rng((self.seed, int(rows[0])))
        best, lowest = np.zeros_like(images), np.full(len(images), np.inf)
        followed = np.zeros(len(images), bool)
        for step in range(self.steps):
            point = tf.constant(images + delta)
            score, gradient = likeness(surrogate, point, targets, ranks)
            kept = _classes(network, point).numpy() == seen
            better = kept & (score.numpy() < lowest)
            best[better], lowest[better] = delta[better], score.numpy()[better]
            gradient = gradient.numpy()
            led = gradient.any(axis=(1, 2, 3))
            followed |= led
            # Down the gradient; where there is none, from the best so far in any direction.
            random = rng.normal(size=images.shape).astype(np.float32)
            here = np.where(_each(led), delta, best)
            way = self._step(np.where(_each(led), -gradient, random))
            ahead = self._inside(images, here + (1 - step / self.steps) * way)
            # Where the class was lost, half the way back to the image.
            delta = np.where(_each(led & ~kept), delta / 2, ahead)
        return np.clip(images + best, 0, 1), followed


def _smooth(network: Classifier, sharpness: float) -> Classifier:
    """The network with softplus for ReLU; itself where it has no plain ReLU that is known."""
    if network.network is None:
        return network
    try:
        return as_classifier(softplus(network.network, sharpness=sharpness))
    except InputError:
        return network


def _standardised_ranks(maps: np.ndarray) -> np.ndarray:
    """Ranks of each map's pixels at mean 0 and norm 1: (B, H, W) → float32 (B, H, W)."""
    ranks = rankdata(maps.reshape(len(maps), -1), axis=-1)
    ranks -= ranks.mean(axis=-1, keepdims=True)
    norms = np.linalg.norm(ranks, axis=-1, keepdims=True)
    return (ranks / np.where(norms > 0, norms, 1)).reshape(maps.shape).astype(np.float32)


def _each(values: np.ndarray) -> np.ndarray:
    """(B,) → (B, 1, 1, 1), to go with images."""
    return values[:, None, None, None]
