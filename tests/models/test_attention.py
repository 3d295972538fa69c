"""Attention pooling against NumPy, and its map as an explanation."""

import keras
import numpy as np
import pytest

from tfrobust.errors import InputError
from tfrobust.explanations import Attention
from tfrobust.models import AttentionPooling, resnet_cifar

RNG = np.random.default_rng(0)
FEATURES = RNG.normal(size=(2, 3, 4, 5)).astype(np.float32)


def test_the_mean_is_weighted_by_the_formula() -> None:
    layer, kernel = AttentionPooling(), RNG.normal(size=(5, 5)).astype(np.float32)
    layer.build((None, 3, 4, 5))
    layer.set_weights([kernel])
    whole = FEATURES.mean(axis=(1, 2)) @ kernel
    scores = np.einsum("bhwc,bc->bhw", FEATURES, whole) / np.sqrt(5)
    shares = np.exp(scores) / np.exp(scores).sum(axis=(1, 2), keepdims=True)
    np.testing.assert_allclose(layer.attention(FEATURES)[..., 0], shares, rtol=1e-4)
    expected = np.einsum("bhw,bhwc->bc", shares, FEATURES)
    np.testing.assert_allclose(layer(FEATURES)[:, 0, 0], expected, rtol=1e-4, atol=1e-6)


def test_a_new_layer_is_the_plain_mean() -> None:
    np.testing.assert_allclose(
        AttentionPooling()(FEATURES)[:, 0, 0], FEATURES.mean(axis=(1, 2)), atol=1e-6
    )


def test_the_map_is_the_attention_enlarged_and_survives_saving(tmp_path: object) -> None:
    pixels = keras.Input((16, 16, 1))
    gate = AttentionPooling()
    pooled = gate(keras.layers.Conv2D(4, 4, strides=4)(pixels))
    network = keras.Model(pixels, keras.layers.Dense(3)(keras.layers.Flatten()(pooled)))
    gate.set_weights([RNG.normal(size=(4, 4)) * 20])
    images = RNG.random((2, 16, 16, 1), np.float32)
    network.save(f"{tmp_path}/network.keras")
    for model in (network, keras.saving.load_model(f"{tmp_path}/network.keras")):
        found = Attention()(model, images)
        features = keras.Model(network.input, gate.input)(images, training=False)
        weights = np.asarray(gate.attention(features))
        # The largest weight of the 4×4 places is in the same quarter as the largest pixel.
        for shown, weight in zip(found.map, weights[..., 0], strict=True):
            place = np.array(np.unravel_index(shown.argmax(), (16, 16))) // 4
            assert tuple(place) == np.unravel_index(weight.argmax(), (4, 4))
            assert shown.max() == pytest.approx(1) and shown.min() >= 0
        assert np.ptp(found.map) > 0.1


def test_a_resnet_has_the_gate_in_the_place_of_its_pool() -> None:
    network = resnet_cifar(depth=8, width=4, input_shape=(8, 8, 1), attention=True)
    assert [type(layer).__name__ for layer in network.layers[-3:]] == [
        "AttentionPooling",
        "Conv2D",
        "Flatten",
    ]


def test_a_network_without_attention_is_refused() -> None:
    network = resnet_cifar(depth=8, width=4, input_shape=(8, 8, 1))
    with pytest.raises(InputError, match="one layer AttentionPooling, got 0"):
        Attention()(network, np.zeros((1, 8, 8, 1), np.float32))
