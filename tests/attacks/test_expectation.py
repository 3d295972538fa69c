"""The average of a random network."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from marks import quick

from tfrobust.attacks import DDN, LinearizedMargin, Misclassified, expectation
from tfrobust.core.config import config_of
from tfrobust.core.gradients import input_gradient
from tfrobust.errors import InputError

COMPILED = True  # with which programs of the same draws are compared
WEIGHTS = np.random.default_rng(0).normal(size=(16, 3)).astype(np.float32)
IMAGES = np.random.default_rng(1).random((5, 4, 4, 1), np.float32)
NOISE = 0.3


def noisy(images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    images += tf.random.stateless_normal(tf.shape(images), seed, stddev=NOISE)
    return tf.reshape(images - 0.5, (-1, 16)) @ WEIGHTS


@keras.saving.register_keras_serializable("tests")
class Noise(keras.layers.Layer):
    """Draws in inference too."""

    def __init__(self, **options) -> None:
        super().__init__(**options)
        self.seed = keras.random.SeedGenerator(1)

    def call(self, images):
        return images + NOISE * keras.random.normal(keras.ops.shape(images), seed=self.seed)


def network(*noise: keras.layers.Layer) -> keras.Model:
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [
            keras.Input((4, 4, 1)),
            *noise,
            keras.layers.Conv2D(4, 3),
            keras.layers.BatchNormalization(),
            keras.layers.Activation("softplus"),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(3, kernel_initializer=keras.initializers.RandomNormal(stddev=5)),
        ]
    )


def test_it_is_the_logarithm_of_the_mean_probability() -> None:
    noise = tf.random.stateless_normal((4, 4, 4, 1), [2, 4], stddev=NOISE).numpy()
    logits = (IMAGES[:, None] + noise - 0.5).reshape(5, 4, 16) @ WEIGHTS
    shares = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    answer = expectation(noisy, draws=4, seed=2)(tf.constant(IMAGES))
    np.testing.assert_allclose(answer, np.log(shares.mean(1)), atol=1e-5)


@pytest.mark.parametrize("model", [noisy, network(Noise())], ids=["function", "network"])
def test_the_gradient_is_that_of_the_answer(model) -> None:
    average = expectation(model, draws=6)

    @tf.function(jit_compile=True)
    def slope(images: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return input_gradient(average, images, lambda logits: logits[:, 0])

    @tf.function(jit_compile=True)
    def value(images: tf.Tensor) -> tf.Tensor:
        return average(images)[:, 0]

    logits, gradient = slope(IMAGES)
    np.testing.assert_allclose(logits[:, 0], value(IMAGES), atol=1e-6)
    direction = np.random.default_rng(2).normal(size=IMAGES.shape).astype(np.float32)
    ahead, behind = value(IMAGES + 1e-3 * direction), value(IMAGES - 1e-3 * direction)
    expected = np.sum(gradient * direction, axis=(1, 2, 3))
    # A central difference of float32 answers: 1e-6 / 2e-3.
    np.testing.assert_allclose((ahead - behind) / 2e-3, expected, atol=5e-3)


def test_the_place_in_the_batch_does_not_matter() -> None:
    average = tf.function(expectation(network(Noise()), draws=6), jit_compile=True)
    there = average(tf.constant(IMAGES)).numpy()
    turned = average(tf.constant(IMAGES[::-1].copy())).numpy()[::-1]
    np.testing.assert_allclose(there, turned, atol=1e-6)


def test_seeds_draw_differently_and_calls_alike() -> None:
    model = network(Noise())
    one, again, other = (
        expectation(model, draws=3, seed=seed)(tf.constant(IMAGES)).numpy() for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(one, again)
    assert np.abs(one - other).max() > 1e-3
    # Attacks through it are told apart likewise.
    told = [config_of(expectation(model, draws=3, seed=seed)) for seed in (0, 0, 1)]
    assert told[0] == told[1] != told[2] != config_of(expectation(model, draws=4, seed=1))


def test_many_draws_come_near_the_expectation() -> None:
    answers = [
        expectation(noisy, draws=500, seed=seed)(tf.constant(IMAGES)).numpy() for seed in (0, 1)
    ]
    # A probability's standard error is at most 0.5/√500.
    np.testing.assert_allclose(np.exp(answers[0]), np.exp(answers[1]), atol=0.1)


@pytest.mark.parametrize("kind", quick([DDN, LinearizedMargin], DDN))
def test_attacks_run_on_it(kind) -> None:
    average = expectation(noisy, draws=8)
    labels = np.argmax(average(tf.constant(IMAGES)), -1).astype(np.int32)
    result = kind(steps=30, batch_size=5)(average, IMAGES, labels)
    assert result.found.all()
    # Judged by other draws, which the attack has not seen: about the boundary, one way or other.
    beyond = IMAGES + 1.5 * (result.adversarials - IMAGES)
    others = expectation(noisy, draws=200, seed=9)(tf.constant(beyond))
    assert Misclassified().met(others, labels).numpy().mean() >= 0.8


def test_a_softmax_at_the_end_is_left_out() -> None:
    logits = network(Noise())
    ends = keras.Model(logits.inputs, keras.layers.Softmax()(logits.outputs[0]))
    found, expected = (
        expectation(one, draws=3)(tf.constant(IMAGES)).numpy() for one in (ends, logits)
    )
    # A logarithm of a softmax in the one is the other's log softmax: float32's rounding.
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_network_that_does_not_draw_is_refused() -> None:
    with pytest.raises(InputError, match="layers that draw"):
        expectation(network(), draws=3)
    with pytest.raises(InputError, match="at least 1 draw"):
        expectation(noisy, draws=0)
