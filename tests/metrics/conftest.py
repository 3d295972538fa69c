"""Two classifiers of images (8, 8, 1)."""

from collections.abc import Callable

import keras
import numpy as np
import pytest
import tensorflow as tf

WEIGHTS = np.random.default_rng(1).normal(size=(64, 3)).astype(np.float32)


@pytest.fixture(scope="module")
def linear() -> Callable[[tf.Tensor], tf.Tensor]:
    """Its gradient is the same everywhere."""
    return lambda images: tf.reshape(images, (-1, 64)) @ WEIGHTS


@pytest.fixture(scope="module")
def network() -> keras.Model:
    """ReLUs: their gradient has no gradient, but softplus in their place does."""
    keras.utils.set_random_seed(1)
    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Conv2D(8, 3, activation="relu"),
            keras.layers.Conv2D(8, 3, activation="relu"),
            keras.layers.Flatten(),
            keras.layers.Dense(3),
        ]
    )
