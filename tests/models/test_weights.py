"""Copies of networks, whose layers see the weights that they are given."""

from collections.abc import Callable

import keras
import numpy as np
import pytest
from keras import layers

from tfrobust.models import half_huber, mirrored
from tfrobust.models.convert import full_precision, softplus
from tfrobust.models.copies import duplicate
from tfrobust.models.head import parts, with_classes

IMAGES = 5 + 3 * np.random.default_rng(0).random((4, 8, 8, 1), np.float32)


def with_new_head(network: keras.Model) -> keras.Model:
    twin = with_classes(network, 2)
    assert parts(twin)[-1].units == 2
    twin = with_classes(twin, 3)
    parts(twin)[-1].set_weights(parts(network)[-1].get_weights())
    return twin


@pytest.mark.parametrize(
    "copy",
    [
        full_precision,
        duplicate,
        mirrored,
        with_new_head,
        half_huber,
        lambda network: softplus(network, sharpness=1e3),
    ],
    ids=["full_precision", "duplicate", "mirrored", "with_classes", "half_huber", "softplus"],
)
def test_an_adapted_normalization_stays_adapted(copy: Callable[[keras.Model], keras.Model]) -> None:
    normal = layers.Normalization()
    normal.adapt(IMAGES)
    network = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            normal,
            # No pixel is below it, so that all forms of ReLU do about the same.
            layers.Conv2D(
                2, 1, kernel_initializer="ones", bias_initializer=keras.initializers.Constant(20)
            ),
            layers.ReLU(),
            layers.GlobalAveragePooling2D(),
            layers.Dense(3, kernel_initializer="ones"),
        ]
    )
    expected = network(IMAGES)
    found = copy(network)(IMAGES)
    # Half-Huber ReLU lies δ/2 = 0.25 below, for two channels; an image that is not normalised lies
    # about 6 above.
    np.testing.assert_allclose(found, expected, atol=0.6)
