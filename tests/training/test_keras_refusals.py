"""What RobustClassifier refuses by name, before it learns anything of it."""

import functools
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, losses

from tfrobust.errors import InputError
from tfrobust.training import InputGradientPenalty, PsiController, RobustClassifier

RNG = np.random.default_rng(0)
LABELS = np.arange(24) % 3
IMAGES = RNG.random((24, 4, 4, 1), np.float32)
ONE_HOT = keras.utils.to_categorical(LABELS, 3)
WAYS: dict[str, dict[str, Any]] = {
    "graph": {},
    "xla": {"jit_compile": True},
    "eager": {"run_eagerly": True},
}
LOGITS = losses.SparseCategoricalCrossentropy(from_logits=True)


def network(activation: str | None = None) -> keras.Model:
    head = layers.Dense(3, activation)
    return keras.Sequential([keras.Input((4, 4, 1)), layers.Flatten(), head])


def classifier(activation: str | None = None, **compiling: Any) -> RobustClassifier:
    made = RobustClassifier(network(activation))
    made.compile(keras.optimizers.SGD(0.1), **compiling)
    return made


@functools.cache
def made_in(way: str, rank: int = 1) -> RobustClassifier:
    """One that only refuses, and so never learns: for labels of so many axes."""
    return classifier(**WAYS[way])


def batches(images: Any, labels: Any) -> tf.data.Dataset:
    return tf.data.Dataset.from_tensor_slices((images, labels)).batch(12)


def refuses(made: RobustClassifier, words: str, *calls: Callable[[], Any]) -> None:
    """Each call is refused in these words, and the weights stay as they are."""
    before = made.get_weights()
    for call in calls:
        with pytest.raises(InputError, match=words):
            call()
    for one, other in zip(before, made.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


LABELS_OF_NO_CLASS = {
    "from 1": (LABELS + 1, "from 0 to 2, .* got 3. Take 1 from"),
    "below 0": (LABELS - 1.0, "from 0 to 2, .* got -1"),
    "not whole": (LABELS + 0.25, "from 0 to 2, .* got 0.25"),
    "no number": (np.where(LABELS == 2, np.nan, LABELS), "from 0 to 2, .* got nan"),
    "several": (np.ones((24, 3)), "rows of 3 shares .* a row that sums to 3"),
    "of no class": (np.zeros((24, 3)), "rows of 3 shares .* a row that sums to 0"),
    "half gone": (np.where(ONE_HOT == 1, np.nan, 0), "a row that sums to nan"),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", LABELS_OF_NO_CLASS)
def test_labels_of_no_class(name: str, way: str) -> None:
    labels, words = LABELS_OF_NO_CLASS[name]
    made, data = made_in(way, labels.ndim), batches(IMAGES, labels)
    refuses(made, words, lambda: made.fit(data, verbose=0), lambda: made.evaluate(data, verbose=0))


PIXELS_OF_NO_RANGE = {
    "eight bits": ((255 * IMAGES).astype(np.uint8), "from 0 to 1, .* a batch from 0 to 25"),
    "standardised": ((IMAGES - 0.5) / 0.25, "from 0 to 1, .* a batch from -[12]"),
    "no number": (np.where(IMAGES > 0.5, np.nan, IMAGES), "from 0 to 1, .* nan"),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", PIXELS_OF_NO_RANGE)
def test_pixels_far_outside_the_range(name: str, way: str) -> None:
    images, words = PIXELS_OF_NO_RANGE[name]
    made = made_in(way)
    refuses(
        made,
        words,
        lambda: made.fit(images, LABELS, verbose=0),
        lambda: made.predict(images, verbose=0),
    )


def test_pixels_a_little_outside_are_taken() -> None:
    history = classifier(jit_compile=False).fit(1.6 * IMAGES - 0.3, LABELS, verbose=0).history
    assert np.isfinite(history["loss"]).all()


@pytest.mark.parametrize("batch", [{"batch_size": 4}, {"batch_size": 4, "shuffle": False}])
def test_arrays_are_looked_at_whole_before_the_first_step(batch: dict[str, Any]) -> None:
    labels = np.zeros(24)
    labels[-1] = 3
    made = classifier()
    before = made.get_weights()
    with pytest.raises(InputError, match="got 3"):
        made.fit(IMAGES, labels, verbose=0, **batch)
    with pytest.raises(InputError, match="got 3"):
        made.fit(IMAGES, LABELS, validation_data=(IMAGES, labels), verbose=0, **batch)
    np.testing.assert_array_equal(before[0], made.get_weights()[0])


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (np.array(["cat", "dog", "cow"] * 8), "got text"),
        (np.ones((24, 4)), r"shape \(B,\), or \(B, 3\) .* got \(24, 4\)"),
        (np.ones((24, 3, 1)), r"got \(24, 3, 1\)"),
    ],
)
def test_labels_of_no_form(labels: np.ndarray, words: str) -> None:
    with pytest.raises(InputError, match=words):
        classifier().fit(IMAGES, labels, verbose=0)


@pytest.mark.parametrize(
    ("loss", "labels", "words"),
    [
        (losses.CategoricalCrossentropy(from_logits=True), LABELS, "expected one-hot labels"),
        (losses.CategoricalCrossentropy(from_logits=True), LABELS[:, None], "got .*, 1"),
        ("mse", LABELS, "mean_squared_error, got"),
        (LOGITS, ONE_HOT, "categorical_crossentropy for one-hot labels"),
    ],
)
def test_labels_that_the_loss_does_not_take(loss: Any, labels: np.ndarray, words: str) -> None:
    made = classifier(loss=loss)
    with pytest.raises(InputError, match=words):
        made.fit(IMAGES, labels, verbose=0)


@pytest.mark.parametrize(
    ("activation", "loss"),
    [
        (None, "sparse_categorical_crossentropy"),
        (None, "crossentropy"),
        (None, losses.CategoricalCrossentropy(label_smoothing=0.1)),
        (None, losses.BinaryFocalCrossentropy()),
        (None, losses.KLDivergence()),
        ("log_softmax", "categorical_crossentropy"),
    ],
)
def test_a_loss_of_probabilities_for_a_network_of_logits(activation: str | None, loss: Any) -> None:
    with pytest.raises(InputError, match="is one of probabilities and the network gives"):
        classifier(activation, loss=loss)


def test_several_losses_and_weights_of_none() -> None:
    with pytest.raises(InputError, match=r"one loss, .* got 2"):
        classifier(loss=[LOGITS, LOGITS])
    with pytest.raises(InputError, match="a loss beside loss_weights"):
        classifier(loss_weights=[0.5])


@pytest.mark.parametrize("activation", [None, "softmax"])
def test_label_smoothing_that_keeps_the_loss_above_the_target_of_psi(
    activation: str | None,
) -> None:
    loss = losses.CategoricalCrossentropy(from_logits=activation is None, label_smoothing=0.5)

    def made(loss_target: float | None) -> RobustClassifier:
        psi = PsiController(loss_target=loss_target)
        return RobustClassifier(network(activation), penalty=InputGradientPenalty(), psi=psi)

    # −⅔ ln ⅔ − 2·⅙ ln ⅙ is the loss of the best answer.
    with pytest.raises(InputError, match=r"target of psi, 0.714, .* below 0.868"):
        made(0.714).compile("sgd", loss)
    for able in (0.9, None):
        made(able).compile("sgd", loss)


def test_a_network_with_a_training_of_its_own() -> None:
    class Own(keras.Model):
        def train_step(self, data: Any) -> dict[str, Any]:
            return super().train_step(data)

    plain = network()
    with pytest.raises(InputError, match="Own defines train_step"):
        RobustClassifier(Own(plain.inputs, plain.outputs))
    with pytest.raises(InputError, match="RobustClassifier defines train_step"):
        RobustClassifier(RobustClassifier(plain))


def test_a_loss_that_does_not_fit_one_output_is_refused() -> None:
    def one(activation: str | None) -> RobustClassifier:
        head = layers.Dense(1, activation)
        made = keras.Sequential([keras.Input((4, 4, 1)), layers.Flatten(), head])
        return RobustClassifier(made)

    with pytest.raises(InputError, match=r"single output, .* sparse_categorical_crossentropy"):
        one("sigmoid").compile("sgd", "sparse_categorical_crossentropy")
    with pytest.raises(InputError, match="from_logits=True, or end the network in a sigmoid"):
        one(None).compile("sgd", "binary_crossentropy")
    made = one("sigmoid")
    made.compile(keras.optimizers.SGD(0.1), "binary_crossentropy")
    rows = keras.utils.to_categorical(LABELS % 2, 2)
    refuses(made, r"labels \(B,\) of 0 and 1", lambda: made.fit(IMAGES, rows, verbose=0))
