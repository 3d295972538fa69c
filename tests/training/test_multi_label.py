"""Training on labels that may hold together, against NumPy by hand."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfrobust.core.criteria import label_cross_entropy
from tfrobust.errors import InputError
from tfrobust.training import (
    InputGradientPenalty,
    L2MinWalk,
    L2Walk,
    Madry,
    PsiController,
    RobustClassifier,
    Trades,
    guess,
)

RNG = np.random.default_rng(0)
IMAGES = RNG.random((8, 4, 4, 1), np.float32)
LABELS = (RNG.random((8, 3)) < [0.5, 0.25, 0.75]).astype(np.int64)


def network(activation: str | None = "sigmoid", dtype: str = "float32") -> keras.Model:
    keras.utils.set_random_seed(1)
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((4, 4, 1), dtype=dtype),
            layers.Conv2D(3, 3, activation="softplus", dtype=dtype),
            layers.Flatten(dtype=dtype),
            layers.Dense(3, activation=activation, dtype=dtype),
        ]
    )


def trained(model: keras.Model, **options) -> tuple[RobustClassifier, dict[str, float]]:
    robust = RobustClassifier(model, multi_label=True, **options)
    robust.compile(keras.optimizers.SGD(0.1))
    logged = robust.train_on_batch(IMAGES, LABELS, return_dict=True)
    return robust, {name: float(value) for name, value in logged.items()}


def entropies(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    shares = 1 / (1 + np.exp(-logits.astype(np.float64)))
    return -(labels * np.log(shares) + (1 - labels) * np.log(1 - shares)).mean(axis=-1)


def test_the_loss_by_hand() -> None:
    logits = RNG.normal(size=(8, 3)).astype(np.float32)
    by_hand = entropies(logits, LABELS)
    np.testing.assert_allclose(label_cross_entropy(logits, LABELS), by_hand, rtol=1e-5)
    large = label_cross_entropy(np.array([[1e4, -1e4]], np.float32), np.array([[0, 1]]))
    np.testing.assert_allclose(large, 1e4)  # no overflow


@pytest.mark.parametrize("activation", ["sigmoid", None])
def test_a_step_is_that_of_keras_binary_cross_entropy(activation: str | None) -> None:
    plain = network(activation)
    loss = keras.losses.BinaryCrossentropy(from_logits=activation is None)
    plain.compile(keras.optimizers.SGD(0.1), loss=loss)
    expected = plain.train_on_batch(IMAGES, LABELS)
    model = network(activation)
    robust, logged = trained(model)
    np.testing.assert_allclose(logged["cross_entropy"], expected, rtol=1e-5)
    for mine, theirs in zip(model.get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_allclose(mine, theirs, atol=1e-6)
    right = (plain.predict(IMAGES, verbose=0) > (0.5 if activation else 0)) == LABELS
    np.testing.assert_allclose(robust.evaluate(IMAGES, LABELS, verbose=0)[1], right.mean())


def test_the_penalty_of_a_drawn_label_by_finite_differences() -> None:
    """The label's logit is drawn as among classes; the margin is the logit but for its sign."""
    model = network(None, "float64")
    penalty = InputGradientPenalty()
    draws = np.column_stack([[0.0, 0.1, 0.5, 0.9], [0.1, 0.5, 0.5, 0.9]])
    images = RNG.random((4, 4, 4, 1))
    with tf.GradientTape() as tape:
        pixels = tf.constant(images)
        tape.watch(pixels)
        logits = model(pixels)
        total = tf.reduce_sum(penalty.scalar(logits, tf.constant(LABELS[:4]), tf.constant(draws)))
    found = penalty(tape.gradient(total, pixels))
    drawn, step, squares = [0, 1, 1, 2], 1e-5, []
    for index in np.ndindex(4, 4, 1):
        shift = np.zeros((4, 4, 1))
        shift[index] = step
        up, down = (model(images + sign * shift).numpy() for sign in (1, -1))
        squares.append(((up - down)[np.arange(4), drawn] / (2 * step)) ** 2)
    np.testing.assert_allclose(found, np.mean(squares), rtol=1e-6)


def test_psi_holds_the_loss_against_that_of_the_base_rates() -> None:
    """r rises by −ln(loss / (0.65 · loss of answers that only know how often each label holds)).

    How often is of the images as they are weighted.
    """
    weights = np.array([2, 0, 1, 0.5, 1, 1, 3, 0.25], np.float32)
    model = network()
    before = model.predict(IMAGES, verbose=0)
    plain, weighted = (
        np.clip(np.average(LABELS, axis=0, weights=one), 1 / 16, 15 / 16) for one in (None, weights)
    )
    for rates, given in ((plain, None), (weighted, weights)):
        found = guess.of_labels(None, tf.constant(LABELS), given, tf.zeros((8, 3)))
        np.testing.assert_allclose(found, np.tile(np.log(rates / (1 - rates)), (8, 1)), rtol=1e-5)
    loss, of_guess = (
        np.mean(weights * entropies(one, LABELS))
        for one in (
            np.log(before / (1 - before)),
            np.tile(np.log(weighted / (1 - weighted)), (8, 1)),
        )
    )
    psi = PsiController(worse=100.0)
    psi.integral.assign(50.0)
    robust = RobustClassifier(model, multi_label=True, penalty=InputGradientPenalty(), psi=psi)
    robust.compile(keras.optimizers.SGD(0.1))
    robust.train_on_batch(IMAGES, LABELS, sample_weight=weights)
    np.testing.assert_allclose(psi.integral, 50 - np.log(loss / (0.65 * of_guess)), rtol=1e-5)


def test_psi_s_own_loss_is_asked_of_base_rates_as_well() -> None:
    psi = PsiController(worse=100.0)
    psi.integral.assign(50.0)
    robust = RobustClassifier(network(), multi_label=True, penalty=InputGradientPenalty(), psi=psi)
    robust.compile(keras.optimizers.SGD(0.1), loss="binary_crossentropy")
    robust.train_on_batch(IMAGES, LABELS)
    twin = PsiController(worse=100.0)
    twin.integral.assign(50.0)
    trained(network(), penalty=InputGradientPenalty(), psi=twin)
    np.testing.assert_allclose(psi.integral, twin.integral, rtol=1e-5)


@pytest.mark.parametrize("perturber", [L2Walk(), L2MinWalk(), Madry(norm="linf", epsilon=0.1)])
def test_perturbed_images_are_harder(perturber) -> None:
    model = network(None)
    draws = RNG.random((8, perturber.draws_per_image((4, 4, 1)))).astype(np.float32)
    attacked = perturber(model, tf.constant(IMAGES), tf.constant(LABELS), tf.constant(draws))
    clean, harder = (entropies(model(one).numpy(), LABELS) for one in (IMAGES, attacked))
    assert (harder >= clean - 1e-6).all() and (harder > clean + 1e-4).any()
    if isinstance(perturber, L2MinWalk):  # the first decision that turns is enough
        moved = np.any(np.asarray(attacked) != IMAGES, axis=(1, 2, 3))
        wrong = ((model(attacked).numpy() > 0) != LABELS).any(axis=1)
        assert wrong[moved].all()


@pytest.mark.slow
def test_it_learns_is_saved_and_goes_on(tmp_path) -> None:
    robust = RobustClassifier(
        network(),
        multi_label=True,
        penalty=InputGradientPenalty(),
        psi=PsiController(initial=1e-3),
        adversarial=L2MinWalk(epsilon=0.01, steps=2),
    )
    robust.compile(keras.optimizers.Adam(0.05))
    data = tf.data.Dataset.from_tensor_slices((IMAGES, LABELS, np.ones(8))).batch(8).repeat(30)
    history = robust.fit(data, epochs=1, verbose=0).history
    assert robust.evaluate(IMAGES, LABELS, verbose=0)[1] > 0.8 and history["psi"][0] > 0
    robust.save(tmp_path / "robust.keras")
    again = keras.models.load_model(tmp_path / "robust.keras")
    assert again.form == robust.form and again.form.several
    np.testing.assert_allclose(again.predict(IMAGES, verbose=0), robust.predict(IMAGES, verbose=0))
    for one in (robust, again):
        one.train_on_batch(IMAGES, LABELS)
    np.testing.assert_allclose(
        again.predict(IMAGES, verbose=0), robust.predict(IMAGES, verbose=0), atol=1e-6
    )


def test_a_label_of_more_than_one_half_holds() -> None:
    """Shares, such as those of mixed images, are compared as 0 and 1 are."""
    robust = RobustClassifier(network(), multi_label=True)
    robust.compile(keras.optimizers.SGD(0.0))
    shares = 0.1 + 0.8 * (robust.predict(IMAGES, verbose=0) > 0.5)
    shares[0, 0] = 1 - shares[0, 0]
    right = pytest.approx(23 / 24)
    assert robust.fit(IMAGES, shares, batch_size=8, verbose=0).history["accuracy"] == [right]
    assert robust.evaluate(IMAGES, shares, verbose=0, return_dict=True)["accuracy"] == right


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (LABELS[:, 0], r"labels of shape \(B, 3\), .* of shape \(None,\)|of shape \(8,\)"),
        (LABELS * 2, "labels from 0 to 1, 1 where a label holds, got some from 0 to 2"),
        (LABELS + np.nan, "labels from 0 to 1"),
    ],
)
def test_refuses_labels(labels: np.ndarray, message: str, compiled: bool) -> None:
    robust = RobustClassifier(network(), multi_label=True)
    robust.compile(keras.optimizers.SGD(0.1), jit_compile=compiled)
    with pytest.raises(InputError, match=message):
        robust.fit(IMAGES, labels, verbose=0)
    with pytest.raises(InputError, match=message):
        robust.fit(tf.data.Dataset.from_tensors((IMAGES, labels)), verbose=0)


def test_refuses_by_name() -> None:
    with pytest.raises(InputError, match=r"RobustClassifier\(model, multi_label=True\)"):
        RobustClassifier(network())
    with pytest.raises(InputError, match="Trades compares classes that exclude one another"):
        RobustClassifier(network(), multi_label=True, adversarial=Trades())
    robust = RobustClassifier(network(), multi_label=True)
    with pytest.raises(InputError, match="a loss of labels that may hold together"):
        robust.compile("sgd", loss="categorical_crossentropy")
    robust.compile("sgd")
    for take in (robust.fit, robust.train_on_batch):
        with pytest.raises(InputError, match="expected no class_weight with labels"):
            take(IMAGES, LABELS, class_weight={0: 1.0, 1: 5.0, 2: 1.0})
