"""A linear network of images (4, 4, 2), whose exact attributions are known."""

import numpy as np
import pytest
import tensorflow as tf

RNG = np.random.default_rng(5)
WEIGHTS = RNG.normal(size=(4, 4, 2, 3)).astype(np.float32)
IMAGES = RNG.random((3, 4, 4, 2), np.float32)


class Linear:
    """Logits Σ w·x, and what covering a value with a fill takes from them."""

    images = IMAGES
    classes = np.array([2, 0, 1])

    def __call__(self, images: tf.Tensor) -> tf.Tensor:
        return tf.reshape(images, (-1, 32)) @ WEIGHTS.reshape(32, 3)

    @property
    def gradient(self) -> np.ndarray:
        """float (3, 4, 4, 2): the gradient of each image's class."""
        return np.moveaxis(WEIGHTS[..., self.classes], -1, 0)

    def attributions(self, fill: float) -> np.ndarray:
        """float (3, 4, 4): by how much the class's logit falls when a pixel is covered."""
        return ((IMAGES - fill) * self.gradient).sum(axis=-1)


@pytest.fixture(scope="session")
def linear() -> Linear:
    return Linear()
