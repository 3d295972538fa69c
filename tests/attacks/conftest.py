"""Networks whose smallest perturbations are known in closed form."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pytest
import tensorflow as tf

from tfrobust.attacks import BelowChance, Criterion, Misclassified, TargetClass

SHAPE = (4, 4, 1)
PIXELS = 16
CENTRE = np.linspace(0.3, 0.7, PIXELS).astype(np.float32)
RADIUS = 0.8

rng = np.random.default_rng(3)
PLANE = rng.normal(size=(PIXELS, 2)).astype(np.float32)
IMAGES = (0.5 + 0.1 * rng.normal(size=(5, *SHAPE))).clip(0, 1).astype(np.float32)


class Known(NamedTuple):
    """A network of two classes, images, their classes, and RMSE to the boundary (float64)."""

    model: Callable[[tf.Tensor], tf.Tensor]
    images: np.ndarray
    labels: np.ndarray
    distances: np.ndarray

    def criterion(self, name: str) -> Criterion:
        """A criterion by its name. With two classes every one has the same distance."""
        return {
            "Misclassified": Misclassified(),
            "BelowChance": BelowChance(),
            "TargetClass": TargetClass(1 - self.labels),
        }[name]

    def decisions(self, tilt: float = 0.0) -> Callable[[tf.Tensor], tf.Tensor]:
        """The model without its gradient, its images a little brighter."""
        return lambda images: tf.round(tf.stop_gradient(self.model(images + tilt)) * 1e4) / 1e4


def plane(images: tf.Tensor) -> tf.Tensor:
    """One flat boundary."""
    return tf.reshape(images - 0.5, (-1, PIXELS)) @ PLANE


def sphere(images: tf.Tensor) -> tf.Tensor:
    """Class 0 inside: logits r² − |x − c|², 0."""
    away = tf.reshape(images, (-1, PIXELS)) - CENTRE
    inside = RADIUS**2 - tf.reduce_sum(tf.square(away), axis=-1)
    return tf.stack([inside, tf.zeros_like(inside)], axis=-1)


@pytest.fixture
def linear() -> Known:
    flat = IMAGES.reshape(-1, PIXELS).astype(np.float64)
    across = (PLANE[:, 0] - PLANE[:, 1]).astype(np.float64)
    gap = np.abs((flat - 0.5) @ across) / np.linalg.norm(across)
    return Known(plane, IMAGES, np.argmax(plane(IMAGES), -1).astype(np.int32), gap / 4)


@pytest.fixture
def quadratic() -> Known:
    """Image 3 lies outside the sphere."""
    flat = IMAGES.reshape(-1, PIXELS).astype(np.float64)
    gap = np.abs(RADIUS - np.linalg.norm(flat - CENTRE, axis=-1))
    return Known(sphere, IMAGES, np.argmax(sphere(IMAGES), -1).astype(np.int32), gap / 4)


@pytest.fixture(params=["linear", "quadratic"])
def known(request) -> Known:
    return request.getfixturevalue(request.param)
