"""The paper's walk against NumPy."""

import numpy as np
import pytest
import tensorflow as tf

from tfrobust.attacks import L2Min, Misclassified
from tfrobust.attacks.walk import advance, step_lengths
from tfrobust.core.gradients import input_gradient

rng = np.random.default_rng(1)
IN, OUT = rng.normal(size=(12, 8)), rng.normal(size=(8, 3))
IMAGES = rng.random((4, 2, 3, 2))
STEPS, PATH, MOMENTUM = 10, 1.5, 0.9


def model(images: tf.Tensor) -> tf.Tensor:
    flat = tf.reshape(images, (-1, 12))
    return tf.tanh(flat @ tf.constant(IN, tf.float32)) @ tf.constant(OUT, tf.float32)


def by_hand(image: np.ndarray, label: int, momentum: float) -> tuple[np.ndarray, float, np.ndarray]:
    """Algorithm 1 for one image in float64: → the last delta, the smallest size, and its delta."""
    delta, velocity = np.zeros(12), np.zeros(12)
    best, smallest = np.zeros(12), np.inf
    for visit in range(STEPS + 1):
        hidden = np.tanh((image.ravel() + delta) @ IN)
        logits = hidden @ OUT
        met = logits.argmax() != label
        size = np.sqrt(np.mean(delta**2))
        if met and size < smallest:
            best, smallest = delta, size
        if visit == STEPS:
            break
        shares = np.exp(logits) / np.exp(logits).sum()
        gradient = IN @ ((1 - hidden**2) * (OUT @ (shares - np.eye(3)[label])))
        direction = -delta if met else gradient
        direction = direction / (np.sqrt(np.mean(direction**2)) + 1e-8)
        velocity = momentum * velocity + (1 - momentum) * direction
        delta = delta + PATH * (STEPS - visit) / (STEPS * (STEPS + 1) / 2) * velocity
    return delta, smallest, best


@pytest.mark.parametrize("momentum", [0.0, MOMENTUM])
def test_ten_steps(momentum: float) -> None:
    images = tf.constant(IMAGES, tf.float32)
    labels = tf.argmax(model(images), axis=-1, output_type=tf.int32)
    delta = velocity = tf.zeros_like(images)
    for length in step_lengths(STEPS, PATH):
        logits, gradient = input_gradient(
            model, images + delta, lambda logits: Misclassified().loss(logits, labels)
        )
        met = Misclassified().met(logits, labels)
        delta, velocity = advance(delta, velocity, gradient, met, length, momentum)
    result = L2Min(steps=STEPS, path=PATH, momentum=momentum, batch_size=4)(model, images, labels)
    pairs = zip(IMAGES, labels.numpy(), strict=True)
    expected = [by_hand(image, label, momentum) for image, label in pairs]
    # float32 against float64: 1e-7 a step, grown a little by the network's curvature.
    np.testing.assert_allclose(
        delta, np.reshape([last for last, _, _ in expected], IMAGES.shape), atol=1e-5
    )
    sizes = np.array([size for _, size, _ in expected])
    assert np.isfinite(sizes).any(), "the walk must go back for someone, or half is untested"
    np.testing.assert_allclose(result.rmse, sizes, atol=1e-5)
    best = np.reshape([best for _, _, best in expected], IMAGES.shape)
    np.testing.assert_allclose(result.adversarials - IMAGES, best, atol=1e-5)


def test_lengths_shrink_to_one_share_and_sum_to_the_path() -> None:
    np.testing.assert_allclose(step_lengths(3, 6.0), [3, 2, 1], rtol=1e-6)
    lengths = step_lengths(450, 20.0)
    assert lengths.dtype == np.float32 and lengths.shape == (450,)
    # float32's rounding of 450 terms.
    assert abs(lengths.sum(dtype=np.float64) - 20) < 1e-5
