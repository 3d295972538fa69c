import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfrobust.errors import InputError
from tfrobust.models import resnet_cifar
from tfrobust.training import InputGradientPenalty, PsiController, RobustClassifier
from tfrobust.training.optimizer import L2SGD


def small_network() -> keras.Model:
    keras.utils.set_random_seed(0)
    return resnet_cifar(depth=8, width=4, num_classes=3, input_shape=(8, 8, 1))


def stripes(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Images of three classes that a small network can learn: bright thirds."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, count).astype(np.int32)
    images = 0.2 * rng.random((count, 8, 8, 1), dtype=np.float32)
    for image, label in zip(images, labels, strict=True):
        image[3 * label : 3 * label + 2] += 0.8
    return images, labels


def test_stock_fit_learns_logs_and_evaluates() -> None:
    classifier = RobustClassifier(
        small_network(),
        penalty=InputGradientPenalty(),
        psi=PsiController(loss_target=0.5),
    )
    classifier.compile(optimizer=L2SGD(0.05))
    images, labels = stripes(192)
    history = classifier.fit(images, labels, batch_size=32, epochs=8, verbose=0).history
    assert set(history) == {"loss", "cross_entropy", "accuracy", "penalty", "psi", "integral"}
    assert history["accuracy"][-1] > 0.8 > history["accuracy"][0]
    assert history["psi"][-1] > history["psi"][0] >= 220
    scores = classifier.evaluate(images, labels, verbose=0, return_dict=True)
    assert set(scores) == {"loss", "cross_entropy", "accuracy"}


def test_loss_is_cross_entropy_plus_psi_times_penalty() -> None:
    classifier = RobustClassifier(small_network(), penalty=InputGradientPenalty())
    classifier.compile(optimizer=L2SGD(0.05))
    images, labels = stripes(16)
    values = {k: float(v) for k, v in classifier.optimize(tf.constant(images), labels).items()}
    assert values["penalty"] > 0
    assert values["loss"] == pytest.approx(
        values["cross_entropy"] + values["psi"] * values["penalty"], rel=1e-5
    )
    assert values["psi"] == pytest.approx(220 * np.exp(0.02 * values["integral"]), rel=1e-5)


@pytest.mark.slow
def test_the_penalty_flattens_the_network() -> None:
    images, labels = stripes(192)
    norms = {}
    for penalty in (None, InputGradientPenalty()):
        classifier = RobustClassifier(
            small_network(), penalty=penalty, psi=PsiController(loss_target=1.0, gain=0.1)
        )
        classifier.compile(optimizer=L2SGD(0.05), jit_compile=False)
        classifier.fit(images, labels, batch_size=32, epochs=8, verbose=0)
        inputs = tf.constant(images)
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            top = tf.reduce_sum(tf.reduce_max(classifier.network(inputs), axis=-1))
        norms[penalty is None] = float(tf.norm(tape.gradient(top, inputs)))
    assert norms[False] < norms[True] / 2


def test_keras_file_round_trip(tmp_path: Path) -> None:
    classifier = RobustClassifier(
        small_network(),
        penalty=InputGradientPenalty(tandem=0.5),
        psi=PsiController(initial=7),
        seed=4,
    )
    classifier.psi.integral.assign(12.5)
    classifier.save(tmp_path / "classifier.keras")
    copy = keras.saving.load_model(tmp_path / "classifier.keras")
    images, _ = stripes(4)
    np.testing.assert_array_equal(copy(images), classifier(images))
    assert float(copy.psi.psi) == float(classifier.psi.psi)
    assert (copy.penalty.tandem, copy.seed) == (0.5, 4)


def of_bytes() -> keras.Model:
    """A network of pixels from 0 to 255, the same at each call."""
    keras.utils.set_random_seed(0)
    made = [keras.layers.Rescaling(1 / 255), keras.layers.Flatten(), keras.layers.Dense(3)]
    return keras.Sequential([keras.Input((8, 8, 1)), *made, keras.layers.Softmax()])


def test_pixels_of_the_networks_own_range(tmp_path: Path) -> None:
    images, labels = stripes(16)
    plain = keras.Sequential([keras.Input((8, 8, 1)), *of_bytes().layers[1:]])
    classifiers = [
        RobustClassifier(network, penalty=InputGradientPenalty()) for network in (plain, of_bytes())
    ]
    found = []
    for classifier, scale in zip(classifiers, (1, 255), strict=True):
        classifier.compile(optimizer=L2SGD(0.05))
        values = classifier.optimize(tf.constant(scale * images), labels)
        found.append([float(value) for value in values.values()])
    # The same steps, with the same penalty: its gradients are in units of pixels from 0 to 1.
    np.testing.assert_allclose(found[1], found[0], rtol=1e-5)
    last = classifiers[1]
    expected = classifiers[0].predict(images, verbose=0)
    np.testing.assert_allclose(last.predict(255 * images, verbose=0), expected, atol=1e-6)
    np.testing.assert_allclose(keras.ops.softmax(last.network(images)), expected, atol=1e-6)
    last.save(tmp_path / "bytes.keras")
    copy = keras.saving.load_model(tmp_path / "bytes.keras")
    np.testing.assert_allclose(copy.predict(255 * images, verbose=0), expected, atol=1e-6)
    with pytest.raises(InputError, match="expected pixels from 0 to 255"):
        copy.predict(600 * images, verbose=0)


@pytest.mark.parametrize("activation", ["sigmoid", None])
def test_one_output_learns_by_the_cross_entropy_of_two_classes(activation: str | None) -> None:
    images, labels = stripes(96)
    labels = (labels == 1).astype(np.int32)
    made = [keras.layers.Flatten(), keras.layers.Dense(1, activation)]
    network = keras.Sequential([keras.Input((8, 8, 1)), *made])
    weak = PsiController(initial=0.01, gain=0)
    robust = RobustClassifier(network, penalty=InputGradientPenalty(), psi=weak)
    robust.compile(optimizer=keras.optimizers.Adam(0.02))
    history = robust.fit(images, labels, batch_size=32, epochs=12, verbose=0).history
    assert history["accuracy"][-1] > 0.9
    scores = robust.evaluate(images, labels, verbose=0, return_dict=True)
    logits = robust.network.predict(images, verbose=0)
    expected = keras.losses.SparseCategoricalCrossentropy(from_logits=True)(labels, logits)
    assert scores["cross_entropy"] == pytest.approx(float(expected), rel=1e-5)
    assert scores["accuracy"] == pytest.approx((logits.argmax(axis=1) == labels).mean())
    assert robust.predict(images, verbose=0).shape == (96, 1)


def test_a_network_without_logits_is_refused() -> None:
    network = keras.Sequential([keras.Input((4, 4, 1)), keras.layers.Conv2D(2, 3)])
    with pytest.raises(ValueError, match=r"output is logits .* got"):
        RobustClassifier(network)


TWO_DEVICES = """
import sys
import keras, numpy as np, tensorflow as tf
from tfrobust.errors import InputError
from tfrobust.models import resnet_cifar
from tfrobust.training import (
    EvidencePenalty, InputGradientPenalty, Madry, PsiController, RobustClassifier,
)
from tfrobust.runs import distribution
from tfrobust.training.optimizer import L2SGD

cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
rng = np.random.default_rng(0)
images, labels = rng.random((16, 8, 8, 1), np.float32), rng.integers(0, 3, 16).astype(np.int32)


def train(devices, **options):
    strategy = distribution.choose(devices)
    with strategy.scope():
        keras.utils.set_random_seed(0)
        network = resnet_cifar(
            depth=8, width=4, num_classes=3, input_shape=(8, 8, 1), synchronized=True
        )
        classifier = RobustClassifier(
            network, penalty=InputGradientPenalty(**options), psi=PsiController(loss_target=3.0),
            adversarial=Madry(norm="l2", steps=2, share=0.5),
            evidence=EvidencePenalty(np.uint8(255 * images[:3]), images[:3, ..., 0] > 0.5),
        )
        optimizer = L2SGD(0.05)
        optimizer.build(network.trainable_variables)
        classifier.compile(optimizer=optimizer, jit_compile=False)
    data = tf.data.Dataset.from_tensors((images, labels)).unbatch().batch(16).repeat(2)
    step = tf.function(lambda *batch: strategy.run(classifier.optimize, batch))
    for batch in strategy.experimental_distribute_dataset(data):
        values = step(*batch)
    first = {k: float(strategy.experimental_local_results(v)[0]) for k, v in values.items()}
    return first, [variable.numpy() for variable in network.variables]


# Parts of whole groups, which both devices draw as one would.
part = {"of": "loss", "exponent": 1.0, "fraction": 0.25}
for options in ({}, part, {"fraction": 0.5}):
    one, weights = train(None, **options)
    two, twin = train(["CPU:0", "CPU:1"], **options)
    assert one.keys() == two.keys() and one["psi"] > 220
    for name in one:
        np.testing.assert_allclose(two[name], one[name], rtol=1e-4, err_msg=name)
    for ours, theirs in zip(weights, twin, strict=True):
        # Two float32 steps with sums in another order: facts of this size differ by 2e-6.
        np.testing.assert_allclose(theirs, ours, atol=2e-5)
print("equal")
"""


@pytest.mark.slow
def test_two_devices_train_as_one() -> None:
    done = subprocess.run([sys.executable, "-c", TWO_DEVICES], capture_output=True, text=True)
    assert done.stdout.strip() == "equal", done.stderr[-2000:]
