"""Gradient maps against derivatives by hand."""

import numpy as np
import pytest
import tensorflow as tf

from tfrobust.explanations import GradientsInputs, IntegratedGradients, SmoothGrad, VanillaGradients

SHAPE = (3, 2, 2)
rng = np.random.default_rng(0)
LINEAR = rng.normal(size=(12, 3)).astype(np.float32)
CUBIC = rng.normal(size=(12, 3)).astype(np.float32)
IMAGES = rng.random((4, *SHAPE), np.float32)
TARGETS = np.array([2, 0, 1, 2])


def model(images: tf.Tensor) -> tf.Tensor:
    """Logit k: Σ a_k·x + b_k·x³."""
    flat = tf.reshape(images, (-1, 12))
    return flat @ LINEAR + flat**3 @ CUBIC


def slope(images: np.ndarray) -> np.ndarray:
    """∂ logit of the target / ∂ image, by hand."""
    flat = images.reshape(-1, 12).astype(np.float64)
    values = LINEAR.T[TARGETS] + 3 * flat**2 * CUBIC.T[TARGETS]
    return values.reshape(images.shape)


def test_vanilla_gradients() -> None:
    found = VanillaGradients()(model, IMAGES, TARGETS)
    np.testing.assert_allclose(found.attribution, slope(IMAGES), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(found.map, np.abs(slope(IMAGES)).sum(-1), rtol=1e-5, atol=1e-5)
    assert (found.rmse == 0).all() and found.reached.all()


def test_gradients_times_inputs() -> None:
    found = GradientsInputs()(model, IMAGES, TARGETS)
    np.testing.assert_allclose(found.attribution, IMAGES * slope(IMAGES), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(found.map, (IMAGES * slope(IMAGES)).sum(-1), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("baseline", [0.0, 0.5])
def test_integrated_gradients_add_up_to_the_logits_rise(baseline: float) -> None:
    found = IntegratedGradients(steps=64, baseline=baseline)(model, IMAGES, TARGETS)
    start = np.full_like(IMAGES, baseline)
    rise = (model(IMAGES) - model(start)).numpy()[np.arange(4), TARGETS]
    # The middle rule's error on a cubic: second derivative over 24·64² of the way, 1e-4 here.
    np.testing.assert_allclose(found.attribution.sum(axis=(1, 2, 3)), rise, atol=1e-3)
    np.testing.assert_allclose(found.map.sum(axis=(1, 2)), rise, atol=1e-3)
    # Of each pixel alone as well, for this model's pixels do not meet.
    flat, base = IMAGES.reshape(4, 12).astype(np.float64), baseline
    own = LINEAR.T[TARGETS] * (flat - base) + CUBIC.T[TARGETS] * (flat**3 - base**3)
    np.testing.assert_allclose(found.attribution.reshape(4, 12), own, atol=1e-3)


def test_smooth_grad_is_the_mean_over_its_noise() -> None:
    method = SmoothGrad(samples=5, noise=0.2, seed=7)
    found = method(model, IMAGES, TARGETS)
    noise = tf.random.stateless_normal((5, *SHAPE), (7, 0), stddev=0.2, alg="philox").numpy()
    # XLA draws other numbers than TensorFlow: the mean over each is the same but for chance.
    expected = np.mean([slope(IMAGES + one) for one in noise], axis=0)
    spread = 6 * np.abs(CUBIC.T[TARGETS]).reshape(IMAGES.shape) * 0.2 * 1.5
    assert (np.abs(found.attribution - expected) < 5 * spread).all()
    np.testing.assert_array_equal(found.map, method(model, IMAGES, TARGETS).map)
    assert (
        np.abs(found.map - SmoothGrad(samples=5, noise=0.2)(model, IMAGES, TARGETS).map).max() > 0
    )
    still = SmoothGrad(samples=2, noise=0.0)(model, IMAGES, TARGETS)
    np.testing.assert_allclose(still.attribution, slope(IMAGES), rtol=1e-4, atol=1e-5)


def test_attacks_follow_integrated_gradients_at_few_steps() -> None:
    many = IntegratedGradients(steps=64, baseline=0.5)
    assert many.coarse() == IntegratedGradients(steps=16, baseline=0.5)
    assert IntegratedGradients(steps=3).coarse() == IntegratedGradients(steps=3)
    # A mean over fewer noisy copies is another map.
    assert SmoothGrad(samples=64).coarse() == SmoothGrad(samples=64)
