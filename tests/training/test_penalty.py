import keras
import numpy as np
import pytest
import tensorflow as tf

from tfrobust.models import HalfHuberReLU
from tfrobust.training import InputGradientPenalty, RobustClassifier
from tfrobust.training.draws import draws

# float64 throughout: central differences of a second derivative need the digits.


@pytest.fixture(params=["half_huber_relu", "relu"])
def network(request: pytest.FixtureRequest) -> keras.Model:
    keras.utils.set_random_seed(1)
    activation = HalfHuberReLU if request.param == "half_huber_relu" else keras.layers.ReLU
    return keras.Sequential(
        [
            keras.Input((4, 4, 2), dtype="float64"),
            keras.layers.Conv2D(3, 3, dtype="float64"),
            activation(dtype="float64"),
            keras.layers.Flatten(dtype="float64"),
            keras.layers.Dense(5, dtype="float64"),
        ]
    )


def scalar_by_hand(logits: np.ndarray, labels: np.ndarray, draws: np.ndarray) -> np.ndarray:
    values = []
    for row, label, (kind, which) in zip(logits, labels, draws, strict=True):
        if kind < 0.2:
            values.append(row[label] - np.delete(row, label).max())
        else:
            values.append(row[int(which * len(row))])
    return np.array(values)


def penalty_by_differences(
    network: keras.Model, images: np.ndarray, labels: np.ndarray, draws: np.ndarray, exponent: float
) -> float:
    step, powers = 1e-5, []
    for index in np.ndindex(*images.shape[1:]):
        shift = np.zeros(images.shape[1:])
        shift[index] = step
        up, down = (
            scalar_by_hand(network(images + sign * shift).numpy(), labels, draws)
            for sign in (1, -1)
        )
        powers.append(np.abs((up - down) / (2 * step)) ** exponent)
    return float(np.mean(powers))


def batch() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    # The first three rows are tandem (below 0.2), the others one logit.
    draws = np.column_stack([[0.0, 0.1, 0.19, 0.2, 0.5, 0.9], rng.random(6)])
    return rng.random((6, 4, 4, 2)), rng.integers(0, 5, 6), draws


def penalty_of(
    penalty: InputGradientPenalty, network: keras.Model, images: np.ndarray, *rest: np.ndarray
) -> tf.Tensor:
    images = tf.constant(images)
    with tf.GradientTape() as tape:
        tape.watch(images)
        total = tf.reduce_sum(penalty.scalar(network(images), *map(tf.constant, rest)))
    return penalty(tape.gradient(total, images))


@pytest.mark.parametrize("exponent", [2.0, 1.5])
def test_penalty_equals_finite_differences(network: keras.Model, exponent: float) -> None:
    images, labels, draws = batch()
    found = penalty_of(InputGradientPenalty(exponent=exponent), network, images, labels, draws)
    truth = penalty_by_differences(network, images, labels, draws, exponent)
    # Central differences of step 1e-5 err by about 1e-10 relative; 1e-6 leaves room.
    assert found.numpy() == pytest.approx(truth, rel=1e-6)


def test_gradient_of_the_penalty_equals_finite_differences(network: keras.Model) -> None:
    images, labels, draws = batch()
    penalty = InputGradientPenalty()
    kernel = network.layers[0].kernel
    with tf.GradientTape() as tape:
        value = penalty_of(penalty, network, images, labels, draws)
    gradient = tape.gradient(value, kernel.value).numpy()
    start, step = kernel.numpy(), 1e-6
    for index in [(0, 0, 0, 0), (1, 2, 1, 0), (2, 2, 1, 2)]:
        sides = []
        for sign in (1, -1):
            moved = start.copy()
            moved[index] += sign * step
            kernel.assign(moved)
            sides.append(penalty_of(penalty, network, images, labels, draws).numpy())
        kernel.assign(start)
        truth = (sides[0] - sides[1]) / (2 * step)
        # The differences' own error is about 1e-16/1e-6 of a penalty of order 0.1.
        assert gradient[index] == pytest.approx(truth, rel=1e-5, abs=1e-9)


def test_draws_choose_every_logit_and_the_margin_as_often_as_said() -> None:
    network = keras.Sequential(
        [keras.Input((2, 2, 1)), keras.layers.Flatten(), keras.layers.Dense(4)]
    )
    classifier = RobustClassifier(network, penalty=InputGradientPenalty(), seed=3)
    classifier.compile(optimizer=keras.optimizers.SGD(0.0))
    labels = tf.zeros(20_000, tf.int32)
    found = draws(classifier, labels).numpy()
    # Standard error of a share of 20,000 is at most .0036; 4 of them.
    assert np.mean(found[:, 0] < 0.2) == pytest.approx(0.2, abs=0.0144)
    shares = np.bincount((found[:, 1] * 4).astype(int), minlength=4) / len(found)
    assert shares == pytest.approx(np.full(4, 0.25), abs=0.0144)
    assert np.array_equal(found, draws(classifier, labels).numpy())
    classifier.optimizer.iterations.assign(1)
    assert not np.array_equal(found, draws(classifier, labels).numpy())


@pytest.mark.parametrize("arguments", [{"exponent": 0}, {"tandem": -0.1}, {"tandem": 1.1}])
def test_bad_arguments(arguments: dict) -> None:
    with pytest.raises(ValueError, match="an exponent above 0 and a tandem from 0 to 1"):
        InputGradientPenalty(**arguments)
