"""Deletion and insertion where the curve can be worked out."""

import numpy as np
import pytest
import tensorflow as tf

from tfrobust.errors import InputError
from tfrobust.metrics import Deletion, Insertion

# Pixel values ½ + w: covered with ½, a pixel takes its own part of the logit away.
GAPS = np.array([[0.4, 0.1], [0.3, 0.2]], np.float32)
IMAGES = np.stack([0.5 + GAPS, 0.5 - GAPS])[..., None]
SCALE = 5.0


def model(images: tf.Tensor) -> tf.Tensor:
    """Two classes, their log-odds 5·Σ (x − ½)."""
    odds = SCALE * tf.reduce_sum(images - 0.5, axis=(1, 2, 3))
    return tf.stack([odds, tf.zeros_like(odds)], axis=-1)


def sigmoid(values: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-values))


def area(odds: list[float]) -> float:
    values = sigmoid(np.array(odds))
    return float(np.mean((values[1:] + values[:-1]) / 2))


def test_by_hand() -> None:
    maps = np.stack([GAPS, GAPS])
    # Gone in the order .4, .3, .2, .1; class 0 for both images.
    left = SCALE * np.array([1.0, 0.6, 0.3, 0.1, 0.0])
    found = Deletion(steps=4)(model, IMAGES, 0, maps)
    np.testing.assert_allclose(found, [area(list(left)), area(list(-left))], atol=1e-6)
    come = SCALE * np.array([0.0, 0.4, 0.7, 0.9, 1.0])
    found = Insertion(steps=4)(model, IMAGES, 0, maps)
    np.testing.assert_allclose(found, [area(list(come)), area(list(-come))], atol=1e-6)


def test_the_class_meant_by_none_is_that_of_the_whole_image() -> None:
    maps = np.stack([GAPS, GAPS])
    none = Deletion(steps=4)(model, IMAGES, None, maps)
    np.testing.assert_allclose(none, Deletion(steps=4)(model, IMAGES, [0, 1], maps))


def test_the_right_map_is_better_than_its_reverse() -> None:
    maps = GAPS[None]
    assert Deletion()(model, IMAGES[:1], 0, maps) < Deletion()(model, IMAGES[:1], 0, -maps)
    assert Insertion()(model, IMAGES[:1], 0, maps) > Insertion()(model, IMAGES[:1], 0, -maps)


def test_no_images() -> None:
    assert Deletion()(model, IMAGES[:0], None, np.zeros((0, 2, 2))).shape == (0,)


@pytest.mark.parametrize(
    ("maps", "options", "message"),
    [
        (GAPS[None], {}, "maps of shape"),
        (np.stack([GAPS, GAPS]), {"steps": 0}, "steps of at least 1, got 0"),
        (np.stack([GAPS, GAPS]), {"fill": 2.0}, r"fill from 0 to 1, got 2\.0"),
        (
            np.stack([GAPS, GAPS]),
            {"batch_size": 0},
            "batch_size of at least 1, got 0",
        ),
    ],
)
def test_refuses(maps: np.ndarray, options: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Insertion(**options)(model, IMAGES, 0, maps)
