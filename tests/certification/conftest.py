"""Networks whose smoothed twins are known, or easily trained."""

from collections.abc import Callable

import keras
import numpy as np
import pytest

_SHAPE = (4, 4, 1)
_IMAGES = np.random.default_rng(0).uniform(0, 1, (40, *_SHAPE)).astype(np.float32)


def _linear(weights: np.ndarray, bias: np.ndarray) -> keras.Model:
    network = keras.Sequential(
        [keras.Input(_SHAPE), keras.layers.Flatten(), keras.layers.Dense(len(bias))], name="linear"
    )
    network.set_weights([weights, bias])
    return network


@pytest.fixture(scope="session")
def binary() -> tuple[keras.Model, np.ndarray, np.ndarray]:
    """A linear network of two classes, and for 40 images its classes and the exact radii of the
    smoothed network."""
    weights = np.random.default_rng(1).normal(0, 1, (16, 2)).astype(np.float32)
    bias = -weights.T @ np.full(16, 0.5, np.float32)
    network = _linear(weights, bias)
    logits = _IMAGES.reshape(len(_IMAGES), -1) @ weights + bias
    margin = np.abs(logits[:, 0] - logits[:, 1])
    radii = margin / np.linalg.norm(weights[:, 0] - weights[:, 1])
    return network, logits.argmax(axis=1), radii


@pytest.fixture(scope="session")
def curved() -> tuple[keras.Model, np.ndarray, np.ndarray]:
    """A small network trained on noise, twelve test images and their labels."""
    rng = np.random.default_rng(2)
    centres = rng.uniform(0.2, 0.8, (3, 16))
    labels = rng.integers(3, size=600)
    images = np.clip(centres[labels] + rng.normal(0, 0.1, (600, 16)), 0, 1)
    images = images.reshape(-1, *_SHAPE).astype(np.float32)
    keras.utils.set_random_seed(0)
    network = keras.Sequential(
        [
            keras.Input(_SHAPE),
            keras.layers.GaussianNoise(0.25),
            keras.layers.Flatten(),
            keras.layers.Dense(32, "tanh"),
            keras.layers.Dense(3),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    network.compile(keras.optimizers.Adam(0.01), loss)
    network.fit(images[:500], labels[:500], epochs=8, verbose=0)
    return network, images[500:512], labels[500:512]


@pytest.fixture(scope="session")
def linear() -> Callable[[np.ndarray, np.ndarray], keras.Model]:
    """Makes a linear network from weights (16, K) and biases (K,)."""
    return _linear
