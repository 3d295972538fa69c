"""The layers against NumPy, and through save and load."""

from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from tfrobust.core.layers import half_huber_relu
from tfrobust.models import HalfHuberReLU, InputNormalization

DELTA = 0.5
FLOATS = st.floats(-1e3, 1e3, width=32)


def derivatives(inputs: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """h, h' and h'' as TensorFlow computes them."""
    with tf.GradientTape() as outer:
        outer.watch(inputs)
        with tf.GradientTape() as inner:
            inner.watch(inputs)
            outputs = half_huber_relu(inputs)
        first = inner.gradient(outputs, inputs)
    return outputs, first, outer.gradient(first, inputs)


@settings(max_examples=50, deadline=None)
@given(st.lists(FLOATS, min_size=1, max_size=8))
def test_half_huber_is_the_papers_formula(values: list[float]) -> None:
    a = np.array(values, np.float64)
    expected = np.where(a <= 0, 0, np.where(a <= DELTA, a**2 / (2 * DELTA), a - DELTA / 2))
    outputs, first, _ = derivatives(tf.constant(values, tf.float32))
    # float32 carries 1.2e-7 of its size; the absolute part is for the squares near 0.
    np.testing.assert_allclose(outputs, expected, rtol=5e-7, atol=1e-9)
    np.testing.assert_allclose(first, np.clip(a, 0, DELTA) / DELTA, rtol=5e-7, atol=1e-9)


def test_second_derivative_is_one_over_delta_on_the_parabola_and_zero_beside_it() -> None:
    _, _, second = derivatives(tf.constant([-3.0, -0.01, 0.01, 0.25, 0.49, 0.51, 4.0]))
    np.testing.assert_array_equal(second, [0, 0, 2, 2, 2, 0, 0])


def test_half_huber_second_derivative_holds_when_compiled() -> None:
    compiled = tf.function(derivatives, jit_compile=True)
    _, _, second = compiled(tf.constant([-1.0, 0.2, 2.0]))
    np.testing.assert_array_equal(second, [0, 2, 0])


def test_input_normalization_is_per_channel() -> None:
    images = np.random.default_rng(0).random((2, 3, 4, 3), np.float32)
    mean, std = [0.1, 0.5, 0.9], [0.2, 1.0, 4.0]
    normalized = InputNormalization(mean, std)(images)
    np.testing.assert_allclose(normalized, (images - mean) / std, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("mean", "std"), [([0.5], [0.0]), ([0.5], [-1.0]), ([0.5, 0.5], [1.0]), ([], [])]
)
def test_input_normalization_refuses(mean: list[float], std: list[float]) -> None:
    with pytest.raises(ValueError, match="as many means as positive deviations"):
        InputNormalization(mean, std)


def test_layers_survive_save_and_load(tmp_path: Path) -> None:
    images = keras.Input((4, 4, 2))
    features = InputNormalization((0.4, 0.6), (0.2, 0.3))(images)
    network = keras.Model(images, HalfHuberReLU()(features))
    network.save(tmp_path / "network.keras")
    loaded = keras.models.load_model(tmp_path / "network.keras")
    batch = np.random.default_rng(0).random((3, 4, 4, 2), np.float32)
    np.testing.assert_array_equal(loaded(batch), network(batch))
    assert loaded.layers[1].get_config() == network.layers[1].get_config()
