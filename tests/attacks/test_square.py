"""Square: its pattern by hand, its search on a plane, and networks that move in steps."""

import numpy as np
import pytest
import tensorflow as tf

from tfrobust.attacks import Opaque, Square
from tfrobust.attacks.square import pyramid
from tfrobust.errors import InputError

SHAPE = (6, 6, 1)
rng = np.random.default_rng(0)
PLANE = rng.normal(size=(36, 2)).astype(np.float32)
IMAGES = rng.random((5, *SHAPE), np.float32)


def plane(images: tf.Tensor) -> tf.Tensor:
    return tf.reshape(images - 0.5, (-1, 36)) @ PLANE


def test_the_pattern_by_hand() -> None:
    # Rings of 1/4 and of 1/4 + 1 in a half that is 3 high; halves are 1 and 2 wide.
    whole = np.array([[0.25, -0.25, -0.25], [1.25, -0.25, -1.25], [0.25, -0.25, -0.25]])
    np.testing.assert_allclose(pyramid(3), whole / np.sqrt(np.square(whole).sum()), rtol=1e-12)


def test_the_search_comes_near_a_plane() -> None:
    labels = np.argmax(plane(IMAGES), axis=-1)
    across = (PLANE[:, 0] - PLANE[:, 1]).astype(np.float64)
    nearest = np.abs((IMAGES.reshape(-1, 36) - 0.5) @ across) / np.linalg.norm(across) / 6
    found = [Square(steps=steps, batch_size=5)(plane, IMAGES, labels).rmse for steps in (50, 600)]
    assert (found[1] > 0.999 * nearest).all()
    # It is a random search in 36 dimensions: more visits come nearer, and near.
    assert found[1].mean() < 0.9 * found[0].mean() and found[1].mean() < 1.5 * nearest.mean()


def test_it_needs_no_smooth_network() -> None:
    def stairs(images: np.ndarray) -> np.ndarray:
        return np.round(2 * plane(images).numpy()) / 2

    network = Opaque(stairs, input_shape=(None, *SHAPE), num_classes=2)
    labels = stairs(IMAGES).argmax(axis=1)
    result = Square(steps=300, bounds=(0.0, 1.0), batch_size=5)(network, IMAGES, labels)
    assert result.found.all() and (result.rmse < 0.3).all()
    assert (stairs(result.adversarials).argmax(axis=1) != labels).all()


def test_an_image_is_drawn_for_by_its_number() -> None:
    labels = np.argmax(plane(IMAGES), axis=-1)
    together = Square(steps=60, batch_size=5)(plane, IMAGES, labels)
    alone = Square(steps=60, batch_size=1)(plane, IMAGES[3:4], labels[3:4], numbers=[3])
    np.testing.assert_allclose(alone.rmse[0], together.rmse[3], rtol=1e-5)
    other = Square(steps=60, batch_size=5, seed=1)(plane, IMAGES, labels)
    assert (other.rmse != together.rmse)[together.found].all()


def test_what_it_refuses() -> None:
    with pytest.raises(InputError, match="seed of at least 0"):
        Square(seed=-1)
