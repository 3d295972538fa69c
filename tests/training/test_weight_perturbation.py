"""Steps whose gradient is taken at worse weights, against NumPy by hand."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfrobust.errors import InputError
from tfrobust.training import RobustClassifier, Trades, WeightPerturbation
from tfrobust.training.optimizer import L2SGD

IMAGES = np.random.default_rng(0).random((5, 2, 2, 1)).astype(np.float32)
LABELS = np.array([0, 2, 1, 2, 0])


def linear() -> keras.Model:
    images = keras.Input((2, 2, 1))
    network = keras.Model(images, keras.layers.Dense(3)(keras.layers.Flatten()(images)))
    random = np.random.default_rng(1)
    network.set_weights([random.normal(size=one.shape) for one in network.get_weights()])
    return network


def slopes(kernel: np.ndarray, bias: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The cross-entropy's gradients with respect to kernel and bias."""
    pixels = IMAGES.reshape(5, -1).astype(np.float64)
    powers = np.exp(pixels @ kernel + bias)
    error = (powers / powers.sum(axis=1, keepdims=True) - np.eye(3)[LABELS]) / 5
    return pixels.T @ error, error.sum(axis=0)


@pytest.mark.parametrize("along", ["gradient", "momentum"])
def test_gradients_are_of_moved_kernels_and_steps_of_the_kernels_themselves(along: str) -> None:
    network, gamma = linear(), 0.5
    kernel, bias = (one.astype(np.float64) for one in network.get_weights())
    moves = WeightPerturbation(gamma=gamma, along=along)
    classifier = RobustClassifier(network, weight_perturbation=moves)
    classifier.compile(L2SGD(0.1, momentum=0.9, l2=0.0))
    step = tf.function(classifier.optimize)
    steps = [np.zeros_like(kernel), np.zeros_like(bias)]
    for _ in range(3):
        step(IMAGES, LABELS)
        uphill = slopes(kernel, bias)[0] if along == "gradient" else -steps[0]
        norm = np.linalg.norm(uphill)
        moved = kernel + gamma * np.linalg.norm(kernel) * uphill / norm if norm else kernel
        gradients = slopes(moved, bias)
        steps = [0.9 * step - 0.1 * one for step, one in zip(steps, gradients, strict=True)]
        kernel, bias = kernel + steps[0], bias + steps[1]
    for found, expected in zip(network.get_weights(), (kernel, bias), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_a_pair_of_batches_moves_the_weights_by_both() -> None:
    """Where TRADES' divergence has nearly no weight, all of the move is for the cross-entropy."""
    found = []
    for beta in (1e-6, 6.0):
        network = linear()
        attack = Trades(norm="l2", epsilon=0.2, steps=1, beta=beta)
        moves = WeightPerturbation(gamma=0.02)
        classifier = RobustClassifier(network, adversarial=attack, weight_perturbation=moves)
        classifier.compile(keras.optimizers.SGD(0.1))
        values = classifier.optimize(IMAGES, LABELS)
        found.append(float(values["cross_entropy"]))
    assert found[0] > found[1] + 1e-4


@pytest.mark.parametrize(
    ("arguments", "words"),
    [({"gamma": 0.0}, "gamma above 0"), ({"along": "loss"}, "gradient, momentum, got 'loss'")],
)
def test_what_is_no_perturbation_is_refused(arguments: dict, words: str) -> None:
    with pytest.raises(InputError, match=words):
        WeightPerturbation(**arguments)


def test_an_optimizer_without_momentum_is_refused() -> None:
    moves = WeightPerturbation(along="momentum")
    classifier = RobustClassifier(linear(), weight_perturbation=moves)
    for optimizer in (keras.optimizers.SGD(0.1), keras.optimizers.Adam()):
        with pytest.raises(InputError, match="expected an SGD with momentum"):
            classifier.compile(optimizer)
