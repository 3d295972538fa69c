"""The walk of an attack on maps: down the goal's gradient, inside a ball around each image."""

import dataclasses
import functools
import math
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from tfrobust.core.classifier import Classifier, compiled
from tfrobust.core.criteria import log_odds
from tfrobust.core.distances import unit
from tfrobust.core.gradients import input_gradient
from tfrobust.explanations.base import Method
from tfrobust.metrics.robustness.goals.goal import Goal


@dataclasses.dataclass(frozen=True)
class Ball:
    """The changes of at most one size.

    Args:
        rho: the size, RMSE in units of pixels from 0 to 1.
    """

    rho: float

    def surface(self, direction: np.ndarray) -> np.ndarray:
        """Directions (B, H, W, C) brought to the largest size."""
        pixels = direction[0].size if len(direction) else 1
        return self.rho * math.sqrt(pixels) * unit(tf.constant(direction, tf.float32)).numpy()

    def inside(self, images: np.ndarray, delta: np.ndarray) -> np.ndarray:
        """The nearest change that is small enough, without what leaves [0, 1]."""
        size = np.sqrt(np.mean(np.square(delta), axis=(1, 2, 3), keepdims=True))
        delta = delta * np.minimum(1, self.rho / np.maximum(size, 1e-12))
        return np.clip(images + delta, 0, 1) - images


def score_of(
    method: Method,
    goal: Goal,
    model: Classifier,
    images: tf.Tensor,
    targets: tf.Tensor,
    reference: tf.Tensor,
) -> tuple[tf.Tensor, tf.Tensor]:
    """The goal's score (B,) and its gradient for the image (B, H, W, C), 0 where it has none.

    The goal is differentiated for the map, and the map for the image. So one compiled program of a
    method serves all goals.
    """
    forward, back = _programs(method)
    maps = forward(model, images, targets)
    with tf.GradientTape() as tape:
        tape.watch(maps)
        # Brought near 1 first: squares of a confident network's gradients are 0 in float32.
        largest = tf.stop_gradient(tf.reduce_max(tf.abs(maps), axis=(1, 2), keepdims=True))
        score = goal.score(tf.math.divide_no_nan(maps, largest), reference)
    slope = tape.gradient(score, maps) * largest
    return score, back(model, images, targets, slope)


@functools.lru_cache(maxsize=64)
def _programs(method: Method) -> tuple[Callable[..., tf.Tensor], Callable[..., tf.Tensor]]:
    """A method's maps, and the gradient for the image from that for the maps."""

    def maps(model: Classifier, images: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
        return method.pixels(method.attribution(model, images, targets))

    def back(
        model: Classifier, images: tf.Tensor, targets: tf.Tensor, slope: tf.Tensor
    ) -> tf.Tensor:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(images)
            found = maps(model, images, targets)
            # Scaled as the score was, lest the product vanish or overflow in float32.
            largest = tf.stop_gradient(tf.reduce_max(tf.abs(found), axis=(1, 2), keepdims=True))
            total = tf.reduce_sum(tf.math.divide_no_nan(found, largest) * slope)
        gradient = tape.gradient(total, images, unconnected_gradients="zero")
        return tf.where(tf.math.is_finite(gradient), gradient, 0.0)

    return compiled(maps), compiled(back)


@compiled
def _surer(model: Classifier, images: tf.Tensor, classes: tf.Tensor) -> tf.Tensor:
    """The gradient that raises the log-odds of classes (B,)."""
    return input_gradient(model, images, lambda logits: log_odds(logits, classes))[1]


@compiled
def _classes(model: Classifier, images: tf.Tensor) -> tf.Tensor:
    return tf.argmax(model(images), axis=-1, output_type=tf.int32)


@dataclasses.dataclass(frozen=True)
class Walk:
    """The way of one block of images to the goal, from one start.

    Args:
        method: whose maps are walked on.
        goal: what is lowered.
        network: keeps its class, or must not.
        surrogate: whose gradients are followed.
        ball: that it stays in.
        steps: how many there are.
        seed: of random directions.
    """

    method: Method
    goal: Goal
    network: Classifier
    surrogate: Classifier
    ball: Ball
    steps: int
    seed: tuple[int, ...]

    def __call__(
        self, images: np.ndarray, classes: np.ndarray, reference: np.ndarray, delta: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Walks.

        Args:
            images: float32 (B, H, W, C) in [0, 1].
            classes: int32 (B,), those explained.
            reference: float32 (B, H, W), `Goal.reference`.
            delta: float32 (B, H, W, C), where to start.

        Returns:
            The changed images, as they are where nothing was found; and whether a gradient was
            followed, bool (B,).
        """
        targets = tf.constant(classes)
        seen = _classes(self.network, tf.constant(images)).numpy()
        rng = np.random.default_rng(self.seed)
        best, lowest = np.zeros_like(images), np.full(len(images), np.inf)
        followed = np.zeros(len(images), bool)
        for step in range(self.steps):
            point = tf.constant(images + delta)
            score, gradient = score_of(
                self.method, self.goal, self.surrogate, point, targets, tf.constant(reference)
            )
            kept = _classes(self.network, point).numpy() == seen
            good = kept == self.goal.keeps_class
            better = good & (score.numpy() < lowest)
            best[better], lowest[better] = delta[better], score.numpy()[better]
            gradient = gradient.numpy()
            followed |= gradient.any(axis=(1, 2, 3))
            if not self.goal.keeps_class:
                # Where the class is still the old one, it has to go first.
                surer = _surer(self.surrogate, point, tf.constant(seen)).numpy()
                gradient = np.where(_each(good), gradient, surer)
            led = gradient.any(axis=(1, 2, 3))
            # Down the gradient; where there is none, from the best so far in any direction.
            random = rng.normal(size=images.shape).astype(np.float32)
            here = np.where(_each(led), delta, best)
            way = self.ball.surface(np.where(_each(led), -gradient, random))
            ahead = self.ball.inside(images, here + (1 - step / self.steps) * way)
            # Where the class was lost, half the way back to the image.
            back = led & ~good & self.goal.keeps_class
            delta = np.where(_each(back), delta / 2, ahead)
        return np.clip(images + best, 0, 1), followed


def _each(values: np.ndarray) -> np.ndarray:
    """(B,) → (B, 1, 1, 1), to go with images."""
    return values[:, None, None, None]
