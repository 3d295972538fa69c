"""Randomised weights: maps that depend on them change, others do not."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfrobust.errors import InputError
from tfrobust.explanations import GradientsInputs, Method, VanillaGradients
from tfrobust.explanations.base import MapMethod
from tfrobust.metrics import Randomization
from tfrobust.models.copies import duplicate

IMAGES = np.random.default_rng(0).random((6, 8, 8, 1), np.float32)


class Brightness(MapMethod):
    """A map that asks no network: the image itself, as an edge detector would."""

    @property
    def name(self) -> str:
        """Its name."""
        return "brightness"

    def attribution(self, model, images, targets):
        """The image."""
        return images


@pytest.fixture(scope="module")
def network() -> keras.Model:
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Flatten(),
            keras.layers.Dense(32, activation="softplus"),
            keras.Sequential([keras.Input((32,)), keras.layers.Dense(32, activation="softplus")]),
            keras.layers.Dense(5),
        ]
    )


def test_the_network_stays_and_its_twin_loses_layers_from_the_end(network) -> None:
    before = [weight.copy() for weight in network.get_weights()]
    found = Randomization(levels=3)(network, VanillaGradients(), IMAGES)
    assert found.layers.tolist() == [1, 2, 3] and found.total == 3
    assert found.rank_correlation.shape == (3, 6)
    for one, other in zip(before, network.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    # All lost: 64 pixels correlate by chance with a deviation of 1/8, the same for all images.
    assert abs(found.rank_correlation[-1].mean()) < 0.4


def test_a_map_that_asks_no_network_survives(network) -> None:
    found = Randomization(levels=1)(network, Brightness(), IMAGES)
    np.testing.assert_allclose(found.rank_correlation, 1)


@pytest.mark.slow
@pytest.mark.parametrize("method", [VanillaGradients(), GradientsInputs()])
def test_the_same_seed_gives_the_same(network, method: Method) -> None:
    one, other, third = (
        Randomization(levels=1, seed=seed)(network, method, IMAGES).rank_correlation
        for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(one, other)
    assert np.abs(one - third).max() > 0


def test_refuses(network) -> None:
    with pytest.raises(InputError, match="Keras model"):
        Randomization()(lambda images: tf.reshape(images, (-1, 64)), VanillaGradients(), IMAGES)
    flat = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten()])
    with pytest.raises(InputError, match="without any"):
        Randomization()(flat, VanillaGradients(), IMAGES)
    with pytest.raises(InputError, match="at least 1 level, got 0"):
        Randomization(levels=0)


def test_a_layer_in_two_models_is_lost_once() -> None:
    images, shared = keras.Input((8, 8, 1)), keras.layers.Conv2D(1, 3, padding="same")
    inside = keras.Model(images, shared(images))
    outputs = keras.layers.Dense(5)(keras.layers.Flatten()(inside(shared(images))))
    found = Randomization()(keras.Model(images, outputs), VanillaGradients(), IMAGES)
    assert found.total == 2 and found.layers.tolist() == [1, 2]


@pytest.mark.slow
def test_frozen_layers_are_randomised_as_well(network) -> None:
    frozen = duplicate(network)
    frozen.trainable = False
    one, other = (
        Randomization(levels=1)(one, VanillaGradients(), IMAGES) for one in (network, frozen)
    )
    assert other.total == 3
    np.testing.assert_array_equal(one.rank_correlation, other.rank_correlation)
    assert not frozen.trainable_weights
