"""The penalty of the loss's gradient, by finite differences, and of a part of a batch."""

import itertools
from collections.abc import Callable
from typing import Any, get_args

import keras
import numpy as np
import pytest
import tensorflow as tf
from marks import quick

from tfrobust.errors import InputError
from tfrobust.models import HalfHuberReLU
from tfrobust.training import InputGradientPenalty, PsiController, RobustClassifier
from tfrobust.training.draws import drawn_part
from tfrobust.training.optimizer import L2SGD
from tfrobust.training.passes import PenalisedBatch
from tfrobust.training.penalty import Method, Of

Layers = Callable[[], list[keras.Layer]]
METHODS: tuple[Method, ...] = get_args(Method)
SHAPE, CLASSES = (4, 4, 2), 5
RNG = np.random.default_rng(0)
IMAGES, LABELS = RNG.random((6, *SHAPE)), RNG.integers(0, CLASSES, 6).astype(np.int32)


def robust(penalty: InputGradientPenalty, layers: Layers) -> RobustClassifier:
    """In float64, of the same weights at each call."""
    made = [*layers(), keras.layers.Flatten(), keras.layers.Dense(CLASSES)]
    network = keras.Sequential([keras.Input(SHAPE, dtype="float64"), *made])
    rng = np.random.default_rng(1)
    for weight in network.trainable_variables:
        weight.assign(rng.normal(0, 0.4, weight.shape))
    classifier = RobustClassifier(network, penalty=penalty)
    classifier.compile(optimizer=L2SGD(0.0))
    return classifier


@pytest.fixture(autouse=True)
def float64() -> Any:
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    yield
    keras.config.set_floatx("float32")
    keras.config.set_dtype_policy("float32")


def curved() -> list[keras.Layer]:
    return [keras.layers.Conv2D(3, 3), HalfHuberReLU()]


def watched() -> list[keras.Layer]:
    return [keras.layers.BatchNormalization(), keras.layers.ActivityRegularization(l2=0.1)]


def asked(penalty: InputGradientPenalty, layers: Layers) -> tuple[float, np.ndarray]:
    """The penalty of the batch, and its gradient with respect to all weights."""
    classifier = robust(penalty, layers)
    weights = classifier.trainable_variables
    with tf.GradientTape() as tape:
        value = PenalisedBatch(classifier, tf.constant(IMAGES), tf.constant(LABELS)).penalty()
    # The last bias is in no gradient of a logit.
    found = [
        np.zeros(weight.shape) if slope is None else slope.numpy()
        for weight, slope in zip(weights, tape.gradient(value, weights), strict=True)
    ]
    return float(value), np.concatenate([one.ravel() for one in found])


@pytest.mark.parametrize("exponent", [1.0, 2.0, 3.0])
def test_the_losss_gradient_is_that_of_numpys_differences(exponent: float) -> None:
    network = robust(InputGradientPenalty(), curved).network

    def cross_entropies(images: np.ndarray) -> np.ndarray:
        logits = network(images).numpy()
        return np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(6), LABELS]

    squares = np.zeros(6)
    for index in np.ndindex(*SHAPE):
        shift = np.zeros(SHAPE)
        shift[index] = 1e-5
        difference = cross_entropies(IMAGES + shift) - cross_entropies(IMAGES - shift)
        squares += (difference / 2e-5) ** 2
    found, _ = asked(InputGradientPenalty(of="loss", exponent=exponent), curved)
    # Central differences of step 1e-5 err by about 1e-10 relative.
    assert found == pytest.approx(np.mean(squares ** (exponent / 2)), rel=1e-6)


@pytest.mark.parametrize("of", ["logits", "loss"])
def test_differences_err_by_half_a_step_of_curvature(of: Of) -> None:
    size, step = int(np.prod(SHAPE)), 0.3
    penalty = InputGradientPenalty(of=of, method="finite_differences", step=step)
    matrix = RNG.normal(size=(size, size))
    matrix = matrix + matrix.T
    linear, points = RNG.normal(size=size), IMAGES.reshape(6, size)

    def quadratic(points: np.ndarray) -> np.ndarray:
        return 0.5 * np.einsum("bi,ij,bj->b", points, matrix, points) + points @ linear

    gradient = points @ matrix + linear
    norms = np.linalg.norm(gradient, axis=1)
    along = gradient / norms[:, None]
    move = penalty.move(tf.constant(gradient.reshape(IMAGES.shape))).numpy()
    np.testing.assert_allclose(move.reshape(6, size), step * along, rtol=1e-12)
    change = quadratic(points + move.reshape(6, size)) - quadratic(points)
    slopes = norms + step / 2 * np.einsum("bi,ij,bj->b", along, matrix, along)
    expected = np.mean(slopes**2) / (size if of == "logits" else 1)
    found = penalty.of_change(tf.constant(change), tf.constant(move)).numpy()
    assert found == pytest.approx(expected, rel=1e-10)
    assert abs(found / np.mean(norms**2) * (size if of == "logits" else 1) - 1) > 0.01


@pytest.mark.parametrize(("of", "exponent"), [("logits", 2.0), ("loss", 1.0), ("loss", 2.0)])
def test_small_differences_are_the_second_derivative(of: Of, exponent: float) -> None:
    exact = InputGradientPenalty(of=of, exponent=exponent)
    value, gradient = asked(exact, curved)
    near = InputGradientPenalty(of=of, exponent=exponent, method="finite_differences", step=1e-6)
    found, slope = asked(near, curved)
    # The step's own error: 1e-6 times the curvature, of order 1, and rounding of 1e-16/1e-6.
    assert found == pytest.approx(value, rel=1e-4)
    np.testing.assert_allclose(slope, gradient, atol=1e-4 * np.abs(gradient).max())
    assert np.abs(gradient).max() > 0


def test_dropout_drops_the_same_before_and_after_the_step() -> None:
    # A linear network has no curvature: only other units dropped would tell the two apart.
    values = [
        asked(InputGradientPenalty(method=method), lambda: [keras.layers.Dropout(0.5, seed=2)])
        for method in METHODS
    ]
    assert values[1][0] == pytest.approx(values[0][0], rel=1e-9)


@pytest.mark.parametrize(("count", "fraction"), [(6, 1 / 3), (7, 0.3), (5, 0.9), (3, 0.01)])
def test_every_image_is_drawn_as_often_as_it_weighs(count: int, fraction: float) -> None:
    places, weights = (each.numpy() for each in drawn_part(tf.zeros(count), fraction))
    sizes = np.round(weights * count).astype(int)
    assert len(places) == max(1, round(fraction * count))
    assert sizes.sum() == count and np.ptp(sizes) <= 1
    chances = np.zeros(count)
    for start, size, weight in zip(places, sizes, weights, strict=True):
        for within in range(size):
            uniform = np.zeros(count, np.float32)
            uniform[start] = (within + 0.5) / size
            drawn = drawn_part(tf.constant(uniform), fraction)[0].numpy()
            chances[drawn[list(places).index(start)]] += weight / size
    np.testing.assert_allclose(chances, 1 / count, rtol=1e-6)


@pytest.mark.parametrize("method", quick(METHODS, "double_backward"))
def test_a_part_of_the_batch_is_in_expectation_all_of_it(
    method: Method, monkeypatch: pytest.MonkeyPatch
) -> None:
    value, gradient = asked(InputGradientPenalty(method=method), curved)
    part = InputGradientPenalty(method=method, fraction=0.3)  # two groups of three
    found = []
    for chosen in itertools.product(range(3), repeat=2):
        places = tf.constant([chosen[0], 3 + chosen[1]])
        drawn = places, tf.constant([0.5, 0.5], tf.float64)
        monkeypatch.setattr("tfrobust.training.passes.drawn_part", lambda *_, drawn=drawn: drawn)
        found.append(asked(part, curved))
    # Every choice is as likely; only the order of sums differs.
    assert np.mean([one for one, _ in found]) == pytest.approx(value, rel=1e-12)
    np.testing.assert_allclose(
        np.mean([slope for _, slope in found], axis=0),
        gradient,
        atol=1e-12 * np.abs(gradient).max(),
    )
    assert np.ptp([one for one, _ in found]) > 0.01 * value


OPTIONS = [
    {"fraction": 0.25},
    {"method": "finite_differences"},
    {"of": "loss", "exponent": 1.0, "fraction": 0.5, "method": "finite_differences"},
]


@pytest.mark.parametrize("options", [OPTIONS[0], OPTIONS[1]])
def test_layers_losses_and_moving_averages_are_those_of_the_whole_batch(options: dict) -> None:
    found = []
    for arguments in ({}, options):
        classifier = robust(InputGradientPenalty(**arguments), watched)
        values = classifier.optimize(tf.constant(IMAGES), tf.constant(LABELS))
        rest = values["loss"] - values["psi"] * values["penalty"] - values["cross_entropy"]
        norm = classifier.network.layers[0]
        found.append([float(rest), *norm.moving_mean.numpy(), *norm.moving_variance.numpy()])
    assert found[0][0] > 0.1
    # ψ·penalty was subtracted from the loss.
    np.testing.assert_allclose(found[1], found[0], rtol=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("options", OPTIONS)
def test_fit_takes_batches_of_any_size_compiled_and_in_bfloat16(options: dict) -> None:
    keras.config.set_floatx("float32")
    keras.config.set_dtype_policy("mixed_bfloat16")
    classifier = RobustClassifier(
        keras.Sequential([keras.Input(SHAPE), keras.layers.Flatten(), keras.layers.Dense(CLASSES)]),
        penalty=InputGradientPenalty(**options),
        psi=PsiController(initial=0.01, gain=0.0),
    )
    classifier.compile(optimizer=L2SGD(0.1), jit_compile=True)
    images = np.concatenate([IMAGES, IMAGES]).astype(np.float32)
    history = classifier.fit(
        images, np.concatenate([LABELS, LABELS]), batch_size=7, epochs=2, verbose=0
    ).history
    assert np.isfinite(history["loss"]).all() and min(history["penalty"]) > 0
    kept = keras.saving.deserialize_keras_object(
        keras.saving.serialize_keras_object(classifier.penalty)
    )
    assert kept.get_config() == classifier.penalty.get_config()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"fraction": 0.0}, "a fraction above 0 and at most 1"),
        ({"step": 0.0}, "a step above 0"),
        ({"of": "margin"}, "one of logits, loss, got 'margin'"),
        ({"method": "adjoint"}, "one of double_backward, finite_differences, got 'adjoint'"),
        ({"method": "finite_differences", "exponent": 1.0}, "Take double_backward"),
    ],
)
def test_bad_arguments(arguments: dict, said: str) -> None:
    with pytest.raises(InputError, match=said):
        InputGradientPenalty(**arguments)
