"""Blend: where no gradient leads, another image does."""

import numpy as np
import pytest
import tensorflow as tf

from tfrobust.attacks import BelowChance, Blend, LinearizedMargin
from tfrobust.errors import InputError

rng = np.random.default_rng(1)
IMAGES = rng.random((6, 4, 5, 1), np.float32)
WEIGHTS = rng.normal(size=(20, 3)).astype(np.float32)


def plane(images: tf.Tensor) -> tf.Tensor:
    return tf.reshape(images - 0.5, (-1, 20)) @ WEIGHTS


def stairs(images: tf.Tensor) -> tf.Tensor:
    """The mean's tens digit, without a gradient."""
    place = tf.floor(tf.reduce_mean(images, axis=(1, 2)) * 10)
    return -tf.abs(place - tf.constant([[3.0, 4.0, 5.0, 6.0]]))


@pytest.mark.parametrize("criterion", [None, BelowChance()])
def test_blend_finds_where_no_gradient_leads(criterion) -> None:
    images = np.linspace(0.31, 0.69, 20, dtype=np.float32)[:, None, None, None] * np.ones((4, 5, 1))
    images = images.astype(np.float32)
    labels = np.argmax(stairs(images), axis=-1)
    with pytest.raises(InputError, match=r"logits have a gradient .* got one without, stairs"):
        LinearizedMargin(steps=12, batch_size=7)(stairs, images, labels, criterion)
    found = Blend(images, batch_size=7)(stairs, images, labels, criterion)
    assert found.found.all() and not found.late.any()
    if criterion is None:
        # Brute force: grey levels are one number, and the nearest other stair is known.
        grey = images[:, 0, 0, 0].astype(np.float64)
        stair = np.floor(grey * 10) / 10
        below = np.where(stair > 0.35, grey - stair, np.inf)
        above = np.where(stair < 0.55, stair + 0.1 - grey, np.inf)
        # Sixteen halvings of less than 0.4, and float32's steps of 6e-8.
        assert (found.rmse > np.minimum(below, above) - 1e-6).all()
        # The nearest image of another stair may lie on the farther side of this one.
        assert (found.rmse < np.minimum(below, above) + 0.021).all()


def test_blend_leaves_alone_what_was_found() -> None:
    labels = np.argmax(plane(IMAGES), axis=-1)
    known = LinearizedMargin(steps=12, batch_size=6)(plane, IMAGES, labels)
    blended = Blend(IMAGES, batch_size=6)(plane, IMAGES, labels, start=known)
    assert known.found.all() and not blended.found.any()


def test_blend_refuses() -> None:
    with pytest.raises(InputError, match="pool of images"):
        Blend(IMAGES[0])


def test_pools_tell_attacks_apart() -> None:
    assert Blend(IMAGES) == Blend(IMAGES.copy()) != Blend(IMAGES[::-1])
    assert Blend(IMAGES).config()["pool"]["shape"] == [6, 4, 5, 1]
