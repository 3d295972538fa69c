"""ψ holds the loss against that of a guess which knows how often each class comes."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfrobust.training import (
    InputGradientPenalty,
    PsiController,
    RobustClassifier,
    SoftLabels,
    guess,
)
from tfrobust.training.base_rates import BaseRates

RNG = np.random.default_rng(0)
LABELS = np.array([0, 0, 0, 0, 0, 2, 2, 1], np.int32)
WEIGHTS = np.array([1, 1, 1, 1, 1, 0.5, 0.5, 3], np.float32)
IMAGES = RNG.random((8, 4, 4, 1), np.float32)


def constant(logits: np.ndarray) -> keras.Model:
    """A network that answers the same whatever it sees."""
    network = keras.Sequential(
        [keras.Input((4, 4, 1)), keras.layers.Flatten(), keras.layers.Dense(len(logits))]
    )
    network.set_weights([np.zeros((16, len(logits))), logits])
    return network


def test_rates_are_counts_of_weights_by_hand() -> None:
    rates = BaseRates(3)
    first = np.exp(rates.update(tf.constant(LABELS), None))
    # One image of each class is there at the beginning.
    np.testing.assert_allclose(first, np.array([6, 2, 3]) / 11, rtol=1e-6)
    second = np.exp(rates.update(tf.constant(LABELS[5:]), tf.constant(WEIGHTS[5:, None])))
    np.testing.assert_allclose(second, np.array([6, 5, 4]) / 15, rtol=1e-6)


@pytest.mark.parametrize("weights", [None, WEIGHTS])
@pytest.mark.parametrize("loss", [None, keras.losses.SparseCategoricalCrossentropy(True)])
def test_psi_compares_with_the_loss_of_the_rates(
    weights: np.ndarray | None, loss: keras.losses.Loss | None
) -> None:
    logits = np.array([0.5, -0.2, 0.1], np.float32)
    psi = PsiController(worse=100.0)
    psi.integral.assign(50.0)
    robust = RobustClassifier(constant(logits), penalty=InputGradientPenalty(), psi=psi)
    robust.compile(optimizer=keras.optimizers.SGD(0.0), loss=loss, run_eagerly=True)
    robust.fit(IMAGES, LABELS, sample_weight=weights, batch_size=8, verbose=0)
    each = np.ones(8) if weights is None else weights
    counts = 1 + np.bincount(LABELS, weights=each)
    answers = logits - np.log(np.exp(logits).sum()), np.log(counts / counts.sum())
    own, guess = (-(each * answer[LABELS]).mean() for answer in answers)
    np.testing.assert_allclose(psi.integral, 50 - np.log(own / (0.65 * guess)), rtol=1e-5)


@pytest.mark.parametrize("by_keras", [False, True])
def test_of_smoothed_labels_a_guess_knows_their_mean_and_no_loss_is_zero(by_keras: bool) -> None:
    logits = np.array([0.5, -0.2, 0.1], np.float32)
    psi = PsiController(worse=100.0)
    psi.integral.assign(50.0)
    robust = RobustClassifier(
        constant(logits),
        penalty=InputGradientPenalty(),
        psi=psi,
        soft_labels=None if by_keras else SoftLabels(smoothing=0.3),
    )
    loss = keras.losses.CategoricalCrossentropy(True, label_smoothing=0.3) if by_keras else None
    robust.compile(optimizer=keras.optimizers.SGD(0.0), loss=loss, run_eagerly=True)
    hard = np.eye(3, dtype=np.float32)[LABELS]
    robust.fit(IMAGES, hard, sample_weight=WEIGHTS, batch_size=8, verbose=0)
    rows = 0.7 * hard + 0.1
    counts = 1 + (WEIGHTS[:, None] * (hard if by_keras else rows)).sum(axis=0)
    mean = counts / counts.sum()
    if by_keras:
        mean = 0.7 * mean + 0.1
    own, guess, least = (
        -(WEIGHTS * (rows * np.log(answer)).sum(axis=1)).mean()
        for answer in (np.exp(logits) / np.exp(logits).sum(), mean, rows)
    )
    target = least + 0.65 * (guess - least)
    np.testing.assert_allclose(psi.integral, 50 - np.log(own / target), rtol=1e-5)


@pytest.mark.parametrize(
    ("loss", "single"),
    [
        (None, False),
        (keras.losses.SparseCategoricalCrossentropy(True), False),
        (None, True),
        (keras.losses.BinaryCrossentropy(True), True),
    ],
)
def test_a_network_that_knows_only_how_often_classes_come_earns_no_penalty(
    loss: keras.losses.Loss | None, single: bool
) -> None:
    """Its loss is .1 where one in fifty is of the other class: far below 0.65·ln 2."""
    labels = np.zeros(100, np.int32)
    labels[::50] = 1
    psi = PsiController()
    network = constant(np.log([0.98, 0.02]).astype(np.float32))
    if single:
        network = constant(np.log([0.02 / 0.98]).astype(np.float32))
    robust = RobustClassifier(network, penalty=InputGradientPenalty(), psi=psi)
    robust.compile(optimizer=keras.optimizers.SGD(0.0), loss=loss, run_eagerly=True)
    images = np.zeros((100, 4, 4, 1), np.float32)
    robust.fit(images, labels, batch_size=50, epochs=3, shuffle=False, verbose=0)
    assert float(psi.integral) == 0.0


def test_of_equal_rates_the_guess_is_that_of_a_coin() -> None:
    logits = tf.zeros((2, 5))
    rates = guess.equal_rates(5)
    for loss, answer in (("sparse_categorical_crossentropy", 0.0), ("binary_crossentropy", -1.386)):
        found = guess.of_rates(keras.losses.get(loss), rates, logits)
        np.testing.assert_allclose(found, np.full((2, 5), answer), atol=1e-3)  # −ln 4
