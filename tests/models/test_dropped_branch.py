"""Branches that are dropped by chance: means, draws by image, gradients, and a network of them."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfrobust.errors import InputError
from tfrobust.models import ShakeDrop, StochasticDepth, resnet_cifar

ONES = tf.ones((4000, 2, 2, 3))
# Standard errors of 4,000 draws are at most .016; these are five.
CLOSE = 0.08


def test_stochastic_depth_keeps_whole_images_as_often_as_it_should() -> None:
    layer = StochasticDepth(0.7, seed=1)
    found = np.asarray(layer(ONES, training=True)).reshape(4000, -1)
    assert set(np.unique(found)) == {0.0, 1.0} and (found == found[:, :1]).all()
    assert found.mean() == pytest.approx(0.7, abs=CLOSE)
    assert (np.asarray(layer(ONES, training=True)).reshape(4000, -1) != found).any()
    np.testing.assert_allclose(layer(ONES), 0.7)


def test_shake_drop_goes_one_way_forward_and_another_back() -> None:
    layer = ShakeDrop(0.5, seed=1)
    with tf.GradientTape() as tape:
        tape.watch(ONES)
        found = layer(ONES, training=True)
    back = np.asarray(tape.gradient(found, ONES))[:, 0, 0, 0]
    forward = found.numpy()[:, 0, 0, 0]
    kept = (forward == 1) & (back == 1)
    assert kept.mean() == pytest.approx(0.5, abs=CLOSE)
    shaken = forward[~kept], back[~kept]
    assert -1 <= shaken[0].min() < -0.9 and shaken[0].mean() == pytest.approx(0, abs=CLOSE)
    assert 0 <= shaken[1].min() < 0.1 and shaken[1].mean() == pytest.approx(0.5, abs=CLOSE)
    assert abs(np.corrcoef(*shaken)[0, 1]) < CLOSE
    np.testing.assert_allclose(layer(ONES), 0.5)


@pytest.mark.slow
@pytest.mark.parametrize("drop", ["stochastic_depth", "shake_drop"])
def test_later_blocks_are_dropped_more_often_and_a_rate_of_zero_drops_none(drop: str) -> None:
    shape = (8, 8, 1)
    made = resnet_cifar(depth=14, width=4, input_shape=shape, drop=drop, drop_rate=0.6)
    keeps = [layer.keep for layer in made.layers if hasattr(layer, "keep")]
    assert keeps == pytest.approx([0.9, 0.8, 0.7, 0.6, 0.5, 0.4])
    images = np.random.default_rng(0).random((3, *shape), np.float32)
    keras.utils.clear_session()  # so that layers of both networks have the same names
    none = resnet_cifar(depth=8, width=4, input_shape=shape, drop=drop, drop_rate=0.0)
    keras.utils.clear_session()
    plain = resnet_cifar(depth=8, width=4, input_shape=shape)
    rng = np.random.default_rng(1)
    weights = {weight.path: weight for weight in none.weights}
    for weight in plain.weights:
        weight.assign(0.1 * rng.random(weight.shape))
        weights[weight.path].assign(weight)
    np.testing.assert_allclose(none(images), plain(images), rtol=1e-5)
    np.testing.assert_allclose(none(images, training=True), plain(images, training=True), rtol=1e-5)


def test_what_drops_everything_is_refused() -> None:
    with pytest.raises(InputError, match="keep above 0 and at most 1, got 0"):
        StochasticDepth(0)
    with pytest.raises(InputError, match="a drop_rate from 0 to below 1"):
        resnet_cifar(depth=8, drop="shake_drop", drop_rate=1.0)


def test_the_layers_survive_saving(tmp_path: object) -> None:
    network = resnet_cifar(depth=8, width=4, input_shape=(8, 8, 1), drop="shake_drop")
    network.save(f"{tmp_path}/network.keras")
    again = keras.saving.load_model(f"{tmp_path}/network.keras")
    images = np.random.default_rng(0).random((2, 8, 8, 1), np.float32)
    np.testing.assert_array_equal(again(images), network(images))
