from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from cleverhans.tf2.attacks.projected_gradient_descent import projected_gradient_descent
from marks import quick

from tfrobust.core.criteria import cross_entropy
from tfrobust.errors import InputError
from tfrobust.training import (
    InputGradientPenalty,
    L2MinWalk,
    L2Walk,
    Madry,
    RobustClassifier,
    Trades,
)
from tfrobust.training.draws import draws
from tfrobust.training.optimizer import L2SGD
from tfrobust.training.perturber import Perturber
from tfrobust.training.step import perturbed as perturbed_by

PERTURBERS = {
    "l2": lambda: L2Walk(steps=2, share=0.5),
    "l2_min": lambda: L2MinWalk(steps=2),
    "madry_l2": lambda: Madry(norm="l2", steps=2, share=0.5),
    "madry_linf": lambda: Madry(norm="linf", steps=2),
    "trades": lambda: Trades(steps=2),
    "trades_l2": lambda: Trades(norm="l2", steps=2, beta=2.0),
}


def small_network() -> keras.Model:
    """With batch normalisation, and gradients large enough for walks to mislead it."""
    keras.utils.set_random_seed(2)
    return keras.Sequential(
        [
            keras.Input((5, 5, 2)),
            keras.layers.Conv2D(4, 3),
            keras.layers.BatchNormalization(),
            keras.layers.Activation("tanh"),
            keras.layers.Flatten(),
            keras.layers.Dense(3),
        ]
    )


def batch(count: int = 24) -> tuple[np.ndarray, np.ndarray]:
    """Labels are what the small network says, but for every fourth."""
    images = np.random.default_rng(0).random((count, 5, 5, 2), np.float32)
    labels = small_network()(images, training=True).numpy().argmax(axis=1)
    labels[::4] = (labels[::4] + 1) % 3
    return images, labels.astype(np.int32)


def training_mode(network: keras.Model) -> Callable[[tf.Tensor], tf.Tensor]:
    def model(images: tf.Tensor) -> tf.Tensor:
        with keras.StatelessScope():
            return network(images, training=True)

    return model


def perturbed(perturber: Perturber, images: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """As the step does it, compiled."""
    model = training_mode(small_network())
    columns = perturber.draws_per_image(images.shape[1:])
    draws = np.random.default_rng(1).random((len(images), columns), np.float32)
    run = tf.function(lambda *rest: perturber(model, *rest), jit_compile=True)
    return run(tf.constant(images), tf.constant(labels), tf.constant(draws)).numpy()


def gradient_by_hand(images: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Logits and the input gradient of the sum of cross-entropies, by TensorFlow's own loss."""
    model, inputs = training_mode(small_network()), tf.constant(images, tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        logits = model(inputs)
        loss = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
    return logits.numpy(), tape.gradient(loss, inputs).numpy().astype(np.float64)


def walk_by_hand(
    images: np.ndarray, labels: np.ndarray, epsilon: float, steps: int, minimal: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Algorithm 1, image by image in NumPy; → delta (B, H, W, C), and whether it ever met."""
    delta, best = np.zeros(images.shape), np.zeros(images.shape)
    best_size = np.full(len(images), np.inf)
    for step in range(steps + 1):
        logits, gradient = gradient_by_hand(images + delta, labels)
        for i in range(len(images)):
            size = np.sqrt(np.mean(delta[i] ** 2))
            met = logits[i].argmax() != labels[i] if minimal else size >= epsilon
            if met and size < best_size[i]:
                best[i], best_size[i] = delta[i], size
            if step < steps:
                direction = -delta[i] if met else gradient[i]
                direction = direction / (np.sqrt(np.mean(direction**2)) + 1e-8)
                length = epsilon * (steps - step) / (steps * (steps + 1) / 2)
                delta[i] = delta[i] + length * direction
    return (best, np.isfinite(best_size)) if minimal else (delta, np.ones(len(images), bool))


def test_l2_equals_a_walk_by_hand() -> None:
    images, labels = batch()
    delta, _ = walk_by_hand(images, labels, 0.01, 7, minimal=False)
    # Float32 passes against float64 steps.
    np.testing.assert_allclose(perturbed(L2Walk(), images, labels), images + delta, atol=1e-5)
    sizes = np.sqrt(np.mean(delta**2, axis=(1, 2, 3)))
    assert np.all((sizes > 0.005) & (sizes < 0.0101))


def test_l2_min_equals_a_walk_by_hand_and_leaves_the_never_mistaken_clean() -> None:
    images, labels = batch()
    delta, found = walk_by_hand(images, labels, 0.03, 7, minimal=True)
    got = perturbed(L2MinWalk(epsilon=0.03), images, labels)
    np.testing.assert_allclose(got, images + delta, atol=1e-5)
    moved = np.any(got != images, axis=(1, 2, 3))
    wrong = np.arange(len(images)) % 4 == 0  # mistaken as they are: no perturbation is the least
    assert found[wrong].all() and not moved[wrong].any()
    # The batch has the other two cases as well.
    assert np.array_equal(moved[~wrong], found[~wrong])
    assert 0 < found[~wrong].sum() < (~wrong).sum()


@pytest.mark.parametrize("name", sorted(PERTURBERS))
def test_a_drawn_part_of_the_images_is_perturbed_as_if_it_were_alone(name: str) -> None:
    images, labels = batch()
    perturber = PERTURBERS[name]()
    perturber.share = 0.5
    model, columns = training_mode(small_network()), perturber.draws_per_image(images.shape[1:])
    draws = np.random.default_rng(0).random((len(images), columns), np.float32)
    # One of each two neighbours: the second where the draw of the first is above a half.
    chosen = np.arange(0, len(images), 2) + (draws[::2, 0] >= 0.5)
    given = tf.constant(images)
    with tf.GradientTape() as tape:
        tape.watch(given)
        found = perturber(model, given, labels, tf.constant(draws))
    assert tape.gradient(found, given) is None
    moved = found.numpy()
    others = np.setdiff1d(np.arange(len(images)), chosen)
    assert np.array_equal(moved[others], images[others])
    perturber.share = 1.0
    alone = perturber(model, images[chosen], labels[chosen], tf.constant(draws[chosen]))
    # The same passes, of as many images.
    np.testing.assert_array_equal(moved[chosen], alone)


def test_draws_of_the_perturbation_halve_the_batches_and_are_not_the_penaltys() -> None:
    classifier = RobustClassifier(small_network(), seed=3)
    classifier.compile(optimizer=L2SGD(0.0))
    labels = tf.zeros(20_000, tf.int32)
    found, others = (draws(classifier, labels, 1, stream).numpy()[:, 0] for stream in (1, 0))
    # Standard errors of a share and a correlation of 20,000 are .0035 and .0071; 4 of them.
    assert np.mean(found < 0.5) == pytest.approx(0.5, abs=0.014)
    assert abs(np.corrcoef(found, others)[0, 1]) < 0.028
    classifier.optimizer.iterations.assign(1)
    assert not np.array_equal(found, draws(classifier, labels, 1, 1).numpy()[:, 0])


@pytest.mark.parametrize("norm", quick(["l2", "linf"], "linf"))
def test_madry_stays_in_ball_and_box_and_raises_the_loss(norm: str) -> None:
    images, labels = batch()
    moved = perturbed(Madry(norm=norm, epsilon=0.05), images, labels)
    delta = (moved - images).astype(np.float64)
    if norm == "l2":
        sizes = np.sqrt(np.mean(delta**2, axis=(1, 2, 3)))
    else:
        sizes = np.abs(delta).max(axis=(1, 2, 3))
    assert sizes.max() < 0.05 * (1 + 1e-5) and sizes.mean() > 0.04
    assert moved.min() >= 0 and moved.max() <= 1
    model = training_mode(small_network())
    before, after = (cross_entropy(model(batch), labels).numpy() for batch in (images, moved))
    assert after.mean() > before.mean() + 0.05


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_steps_from_the_image_itself_are_cleverhans_own(norm: str) -> None:
    images, labels = batch()
    model, madry = training_mode(small_network()), Madry(norm=norm, epsilon=0.05, steps=5)
    ours = madry._ascend(
        model,
        tf.constant(images),
        tf.zeros_like(images),
        lambda logits: cross_entropy(logits, labels),
    )
    radius = 0.05 * np.sqrt(50) if norm == "l2" else 0.05
    theirs = projected_gradient_descent(
        model, images, radius, 2.5 * radius / 5, 5, 2 if norm == "l2" else np.inf,
        y=labels, clip_min=0.0, clip_max=1.0,
    )  # fmt: skip
    # An entry whose gradient is 0 but for rounding may go either way in L∞; there is none here.
    np.testing.assert_allclose(ours, theirs, atol=1e-5)


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_starts_are_uniform_in_the_ball(norm: str) -> None:
    madry = Madry(norm=norm, epsilon=0.2, steps=1)
    # A network without a gradient stays where it starts; the images are far from the box.
    shape = (1, 2, 2)
    draws = np.random.default_rng(0).random((20_000, 6), np.float32)
    images = tf.fill([20_000, *shape], 0.5)
    moved = madry(lambda images: images[:, 0, 0] * 0.0, images, tf.zeros(20_000, tf.int32), draws)
    start = (moved - images).numpy().reshape(20_000, 4)
    if norm == "linf":
        assert np.quantile(start, [0.25, 0.5, 0.75]) == pytest.approx([-0.1, 0, 0.1], abs=0.004)
    else:
        # In four dimensions the share of the ball inside half its radius is 1/16.
        inside = np.mean(np.linalg.norm(start, axis=1) < 0.2 * np.sqrt(4) / 2)
        assert inside == pytest.approx(1 / 16, abs=0.007)
        assert np.abs(start.mean(axis=0)).max() < 0.006


def test_perturbations_grow_to_all_that_was_found() -> None:
    perturber = Madry(norm="l2", epsilon=0.05, steps=1)
    network = small_network()
    grown = RobustClassifier(network, adversarial=perturber, growth_steps=4, seed=3)
    whole = RobustClassifier(network, adversarial=perturber, seed=3)
    images, labels = batch()
    for classifier in (grown, whole):
        classifier.compile(optimizer=keras.optimizers.SGD(0.0))
    for step, share in enumerate([0, 0.25, 0.5, 0.75, 1, 1]):
        for classifier in (grown, whole):
            classifier.optimizer.iterations.assign(step)
        ours, theirs = (perturbed_by(one, images, labels) for one in (grown, whole))
        # float32 sums of numbers up to 1.
        np.testing.assert_allclose(ours - images, share * (theirs - images), atol=1e-6)


def test_trades_loss_equals_numpy() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(2, 6, 4))
    p, q = (np.exp(z) / np.exp(z).sum(axis=1, keepdims=True) for z in (first, second))
    truth = 6.0 * np.mean(np.sum(p * np.log(p / q), axis=1))
    assert float(Trades().loss(tf.constant(first), tf.constant(second))) == pytest.approx(truth)
    assert float(Trades().loss(tf.constant(first), tf.constant(first))) == 0


def test_trades_trains_on_clean_images_and_adds_its_loss() -> None:
    images, labels = batch()
    classifier = RobustClassifier(small_network(), adversarial=Trades(beta=50.0))
    classifier.compile(optimizer=L2SGD(0.0))
    values = classifier.optimize(tf.constant(images), labels)
    clean = cross_entropy(training_mode(small_network())(images), labels)
    assert float(values["cross_entropy"]) == pytest.approx(float(tf.reduce_mean(clean)), rel=1e-5)
    # At the images themselves the divergence is 0: the ascent from beside them found some.
    assert float(values["loss"]) > float(values["cross_entropy"]) + 0.1


@pytest.mark.parametrize("name", quick(PERTURBERS, "trades"))
def test_a_compiled_step_is_finite_and_the_attack_leaves_no_trace(name: str) -> None:
    images, labels = batch()
    network = small_network()
    classifier = RobustClassifier(
        network, penalty=InputGradientPenalty(), adversarial=PERTURBERS[name]()
    )
    optimizer = L2SGD(0.05)
    optimizer.build(network.trainable_variables)
    classifier.compile(optimizer=optimizer)
    weights = [variable.numpy() for variable in network.variables]

    @tf.function(jit_compile=True)
    def attacked(images: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        return perturbed_by(classifier, images, labels)

    moved = attacked(tf.constant(images), tf.constant(labels)).numpy()
    for before, variable in zip(weights, network.variables, strict=True):
        np.testing.assert_array_equal(before, variable.numpy(), err_msg=variable.path)
    step = tf.function(classifier.optimize, jit_compile=True)
    values = step(tf.constant(images), tf.constant(labels))
    assert all(np.isfinite(value) for value in values.values())
    assert all(np.isfinite(variable.numpy()).all() for variable in network.variables)
    # The moving mean has seen what was trained on, once, and nothing of the attack.
    norm = network.layers[1]
    seen = [moved] if classifier.adversarial.replaces else [images, moved]
    mean = np.zeros(4)
    for part in seen:
        features = tf.nn.conv2d(part, weights[0], 1, "VALID") + weights[1]
        mean = 0.99 * mean + 0.01 * np.mean(features, axis=(0, 1, 2))
    # Float32 sums in XLA's order; an attack's two passes would triple it.
    np.testing.assert_allclose(norm.moving_mean.numpy(), mean, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("name", PERTURBERS)
def test_keras_file_round_trip(name: str, tmp_path: Path) -> None:
    perturber = PERTURBERS[name]()
    RobustClassifier(small_network(), adversarial=perturber).save(tmp_path / "c.keras")
    copy = keras.saving.load_model(tmp_path / "c.keras").adversarial
    assert type(copy) is type(perturber)
    assert copy.get_config() == perturber.get_config()


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: L2Walk(epsilon=0), "epsilon above 0, .* got 0, 7, 1.0"),
        (lambda: L2MinWalk(steps=0), "steps of at least 1 .* got 0.1, 0, 1.0"),
        (lambda: Madry(norm="l1"), "norm of l2, linf, got 'l1'"),
        (lambda: Madry(norm="l2", share=0), "share above 0 .* got 0.01, 7, 0"),
        (lambda: Trades(beta=-1), "beta above 0, got -1"),
    ],
)
def test_bad_arguments(make: Callable[[], Perturber], said: str) -> None:
    with pytest.raises(InputError, match=said):
        make()
