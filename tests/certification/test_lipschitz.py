"""Certified radii by Lipschitz constants, against attacks and linear algebra."""

import dataclasses
import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from tfrobust import as_classifier, as_labels, datasets, evaluate, load
from tfrobust.certification import LipschitzCertificate, certify_lipschitz
from tfrobust.certification.lipschitz_bound import Seen, growth_at, margins_growth
from tfrobust.core.layers import HalfHuberReLU, InputNormalization, half_huber_relu
from tfrobust.errors import InputError
from tfrobust.models import MaxMin, SpaceToDepth, SpatialShift, depthwise
from tfrobust.models.convert import full_precision

SHAPE, COUNT = (6, 4, 2), 5
RNG = np.random.default_rng(0)
IMAGES = RNG.random((COUNT, *SHAPE), np.float32)


def sequential(*parts: layers.Layer, classes: int = 3) -> keras.Model:
    made = [keras.Input(SHAPE), *parts, layers.Flatten(), layers.Dense(classes)]
    return keras.Sequential(made, name="sequential")


def residual() -> keras.Model:
    images = keras.Input(SHAPE)
    inner = layers.Conv2D(2, 3, padding="same", activation="relu")(images)
    blended = layers.Average()([images, layers.Conv2D(2, 3, padding="same")(inner)])
    beside = layers.Concatenate()([blended, layers.Subtract()([images, blended])])
    twice = layers.Concatenate()([images, images])
    # Not the maximum of x and x + x: TensorFlow 2.21's graphs with oneDNN take max(x, a x) for a
    # leaky ReLU, though a is above 1.
    largest = layers.Maximum()([beside, layers.Add()([beside, twice])])
    return keras.Model(images, layers.Dense(3)(layers.Flatten()(largest)))


def softmax_of_convolution() -> keras.Model:
    """No dense layer at the end, and a softmax, which is taken off."""
    parts = [layers.Conv2D(3, (6, 4)), layers.Flatten(), layers.Softmax()]
    return keras.Sequential([keras.Input(SHAPE), layers.Conv2D(2, 3, padding="same"), *parts])


def nested() -> keras.Model:
    images = keras.Input(SHAPE)
    inner = keras.Sequential(
        [keras.Input(SHAPE), layers.Conv2D(4, 2, strides=2), MaxMin(), layers.Flatten()]
    )
    return keras.Model(images, layers.Dense(3)(inner(images)))


# Every kind of layer that a certificate goes through.
NETWORKS: dict[str, Callable[[], keras.Model]] = {
    "linear": sequential,
    "dense": lambda: sequential(layers.Flatten(), layers.Dense(8, "relu"), layers.Dense(6)),
    "convolutions": lambda: sequential(
        InputNormalization((0.4, 0.5), (0.3, 0.2)),
        layers.Conv2D(4, 3, padding="same", activation="relu"),
        layers.ZeroPadding2D(1),
        layers.Conv2D(4, 3, strides=2, activation=half_huber_relu),
    ),
    "of this package": lambda: sequential(
        SpaceToDepth(), layers.Conv2D(16, 1), SpatialShift(), layers.Conv2D(8, 1), MaxMin()
    ),
    "pools": lambda: sequential(
        layers.Rescaling(2.0, -1.0),
        layers.Conv2D(4, 3, padding="same", groups=2),
        layers.BatchNormalization(),
        layers.LeakyReLU(0.2),
        layers.MaxPooling2D(3, strides=2, padding="same"),
        HalfHuberReLU(),
        layers.AveragePooling2D(2, strides=1),
    ),
    "global pools": lambda: sequential(
        layers.Conv2D(4, 3, dilation_rate=2, padding="same"),
        layers.ReLU(),
        layers.Dropout(0.5),
        layers.Permute((2, 1, 3)),
        layers.GlobalAveragePooling2D(keepdims=True),
    ),
    "residual": residual,
    "softmax": softmax_of_convolution,
    "nested": nested,
}  # fmt: skip


def randomize(network: keras.Model, rng: np.random.Generator) -> None:
    """Gives all weights other values, of a scale that also varies."""
    scale = rng.uniform(0.2, 1.5)
    network.set_weights(
        [
            np.abs(rng.normal(1, 0.3, w.shape)) + 0.1
            if "variance" in variable.name
            else rng.normal(0, scale, w.shape)
            for variable, w in zip(network.weights, network.get_weights(), strict=True)
        ]
    )


def around(network: keras.Model, norms: np.ndarray) -> Seen:
    """Nothing is known of the images but their norms."""
    return Seen({id(network.inputs[0]): norms}, np.zeros_like(norms))


def attack(network: keras.Model) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """Makes a search for another class on the spheres around the images, by gradients.

    The search takes labels and radii, and gives for each image whether it found another class.
    Steps are a millionth shorter than the radii; and where the pixels' rounding carries an image
    beyond its radius all the same, by as much as 1e-7 a pixel, it does not count as found.
    """
    images = tf.constant(IMAGES)

    def distance(points: tf.Tensor) -> tf.Tensor:
        moved = tf.cast(points, tf.float64) - tf.cast(images, tf.float64)
        return tf.norm(tf.reshape(moved, (COUNT, -1)), axis=1)

    @tf.function
    def search(labels: tf.Tensor, radii: tf.Tensor) -> tf.Tensor:
        points, found = images, tf.zeros(COUNT, tf.bool)
        own = tf.one_hot(labels, 3)
        for _ in range(8):
            with tf.GradientTape() as tape:
                tape.watch(points)
                logits = network(points, training=False)
                rival = tf.reduce_max(logits - 1e9 * own, axis=1)
                margin = tf.reduce_sum(own * logits, axis=1) - rival
            found |= (margin < 0) & (distance(points) <= radii)
            gradient = tape.gradient(margin, points)
            length = tf.norm(tf.reshape(gradient, (COUNT, -1)), axis=1) + 1e-20
            step = tf.cast(radii * (1 - 1e-6), tf.float32) / length
            points = images - tf.reshape(step, (COUNT, 1, 1, 1)) * gradient
        return found

    return lambda labels, radii: np.asarray(search(labels, tf.constant(radii, tf.float64)))


def hold_against_attacks(network: keras.Model, count: int) -> None:
    search, rng = attack(network), np.random.default_rng(1)
    for _ in range(count):
        randomize(network, rng)
        labels = np.asarray(network(IMAGES, training=False)).argmax(axis=1)
        certificate = certify_lipschitz(network, IMAGES, labels)
        assert certificate.accuracy == 1 and certificate.l2.max() > 0
        assert not search(labels, certificate.l2).any()


@pytest.mark.parametrize("name", ["linear", "residual"])
def test_no_attack_comes_below_a_certificate(name: str) -> None:
    hold_against_attacks(NETWORKS[name](), 12)


def test_the_attack_finds_what_lies_just_beyond() -> None:
    network, rng = NETWORKS["linear"](), np.random.default_rng(1)
    randomize(network, rng)
    labels = np.asarray(network(IMAGES)).argmax(axis=1)
    radii = certify_lipschitz(network, IMAGES, labels).l2
    assert attack(network)(labels, 1.001 * radii).all()


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_no_attack_comes_below_one_of_ten_thousand(name: str) -> None:
    hold_against_attacks(NETWORKS[name](), 1112)


@pytest.mark.parametrize("name", NETWORKS)
def test_the_margin_falls_no_faster_than_the_bound(name: str) -> None:
    """The true slope at an image is the norm of the margin's gradient: the steepest direction."""
    network = NETWORKS[name]()
    if name == "softmax":
        network = keras.Model(network.inputs, network.layers[-2].output)
    rng = np.random.default_rng(2)
    for _ in range(3):
        randomize(network, rng)
        images = tf.constant(rng.normal(0, 2, (40, *SHAPE)), tf.float32)
        with tf.GradientTape() as tape:
            tape.watch(images)
            logits = network(images, training=False)
            margin = logits[:, 0] - logits[:, 2]
        gradient = np.asarray(tape.gradient(margin, images), np.float64).reshape(40, -1)
        slopes, _ = margins_growth(network, np.zeros(40, int), around(network, np.ones(40)))
        assert np.linalg.norm(gradient, axis=1).max() <= slopes[0, 2] * (1 + 1e-5)


def test_what_was_seen_of_the_images_brings_rounding_nearer() -> None:
    """Around images whose tensors are small, less is rounded than the layers' norms allow."""
    network = NETWORKS["convolutions"]()
    randomize(network, np.random.default_rng(4))
    images = tf.constant(IMAGES)
    norms = np.linalg.norm(IMAGES.reshape(COUNT, -1).astype(np.float64), axis=1)
    seen = {id(network.inputs[0]): norms}
    for layer in network.layers:
        images = layer(images)
        flat = np.asarray(images, np.float64).reshape(COUNT, -1)
        seen[id(layer.output)] = np.linalg.norm(flat, axis=1)
    labels, reach = np.zeros(COUNT, int), np.full(COUNT, 0.1)
    slopes, rounded = margins_growth(network, labels, Seen(seen, reach))
    same, loose = margins_growth(network, labels, around(network, norms + reach))
    np.testing.assert_array_equal(slopes, same)
    assert np.all(rounded < loose)


@pytest.mark.parametrize("name", NETWORKS)
def test_rounding_and_norms_stay_below_their_bounds(name: str) -> None:
    """The same network in float64 says what float32 got wrong."""
    network = NETWORKS[name]()
    rng = np.random.default_rng(3)
    randomize(network, rng)
    if name == "softmax":
        network = keras.Model(network.inputs, network.layers[-2].output)
    exact = full_precision(network, "float64")
    images = rng.normal(0, 1, (20, *SHAPE)).astype(np.float32)
    norms = np.linalg.norm(images.reshape(20, -1).astype(np.float64), axis=1)
    seen = around(network, norms)
    growth = growth_at(network, network.outputs[0], seen)
    true = np.asarray(exact(images.astype(np.float64), training=False))
    error = np.asarray(network(images, training=False), np.float64) - true
    assert np.all(np.linalg.norm(true, axis=1) <= growth.norm)
    assert np.linalg.norm(error, axis=1).max() > 0
    assert np.all(np.linalg.norm(error, axis=1) <= growth.error)
    _, rounded = margins_growth(network, np.zeros(20, int), seen)
    assert np.all(np.abs(error[:, :1] - error)[:, 1:] <= rounded[:, 1:])


def test_a_linear_network_is_certified_exactly() -> None:
    keras.utils.set_random_seed(0)
    network = NETWORKS["linear"]()
    kernel, bias = network.get_weights()
    logits = IMAGES.reshape(COUNT, -1).astype(np.float64) @ kernel + bias
    order = np.argsort(-logits, axis=1)
    labels = order[:, 0]
    expected = [
        min(
            (row[label] - row[other]) / np.linalg.norm(kernel[:, label] - kernel[:, other])
            for other in range(3)
            if other != label
        )
        for row, label in zip(logits, labels, strict=True)
    ]
    certificate = certify_lipschitz(network, IMAGES, labels)
    # The margin gives up what rounding may have added to it: 48 products of an eps of 6e-8 each,
    # twice, beside slopes of about .5: 2e-5 or so.
    np.testing.assert_allclose(certificate.l2, expected, rtol=1e-3, atol=1e-4)
    assert np.all(certificate.l2 < np.array(expected))
    np.testing.assert_allclose(certificate.rmse, certificate.l2 / np.sqrt(48))
    assert 0 < certificate.rounding < 1e-4
    wrong = certify_lipschitz(network, IMAGES, order[:, 1])
    assert wrong.accuracy == 0 and not wrong.l2.any()


@pytest.mark.parametrize("threshold", [0.5, 0.2])
def test_of_one_logit_the_radius_is_its_distance_over_its_own_slope(threshold: float) -> None:
    """No √2: one of the two logits does not move. One label of several is such a logit, too."""
    keras.utils.set_random_seed(3)
    several = sequential()
    kernel, bias = several.get_weights()
    flat = IMAGES.reshape(COUNT, -1).astype(np.float64)
    away = flat @ kernel[:, 1] + bias[1] - np.log(threshold / (1 - threshold))
    labelled = as_classifier(as_labels(several, thresholds=[0.5, threshold, 0.5]), label=1)
    found = certify_lipschitz(labelled, IMAGES, (away > 0).astype(int))
    # As above, rounding takes 2e-5 or so of it.
    np.testing.assert_allclose(
        found.l2, np.abs(away) / np.linalg.norm(kernel[:, 1]), rtol=1e-3, atol=1e-4
    )


@pytest.mark.parametrize("last", ["dense", "convolution"])
def test_one_logit_and_its_twin_of_two_have_one_certificate(last: str) -> None:
    keras.utils.set_random_seed(4)
    images = keras.Input(SHAPE)
    inner = layers.Conv2D(3, 3, padding="same", activation="relu")(images)
    if last == "dense":
        inner, head = layers.Flatten()(inner), layers.Dense
    else:
        head = functools.partial(layers.Conv2D, kernel_size=SHAPE[:2])
    single, twin = head(1), head(2)
    one = keras.Model(images, layers.Flatten()(single(inner)))
    two = keras.Model(images, layers.Flatten()(twin(inner)))
    twin.set_weights([np.concatenate([0 * part, part], -1) for part in single.get_weights()])
    labels = np.asarray(two(IMAGES)).argmax(axis=1)
    found = certify_lipschitz(as_classifier(one, output="logits"), IMAGES, labels)
    theirs = certify_lipschitz(two, IMAGES, labels)
    # Of a convolution only its whole norm is known, and then the two logits are not told apart.
    factor = 1 if last == "dense" else np.sqrt(2)
    assert theirs.l2.max() > 0
    np.testing.assert_allclose(found.l2, factor * theirs.l2, rtol=1e-3, atol=1e-4)


def test_radii_are_of_pixels_from_0_to_1() -> None:
    network = NETWORKS["dense"]()
    labels = np.asarray(network(IMAGES)).argmax(axis=1)
    bytes_network = NETWORKS["dense"]()
    bytes_network.set_weights(network.get_weights())
    first = bytes_network.layers[1]
    first.kernel.assign(first.kernel / 255)
    certificate = certify_lipschitz(network, IMAGES, labels)
    scaled = certify_lipschitz(bytes_network, IMAGES, labels, input_range=(0, 255))
    np.testing.assert_allclose(scaled.l2, certificate.l2, rtol=1e-2, atol=1e-3)


def test_it_is_kept_as_json(tmp_path: Path) -> None:
    network = NETWORKS["dense"]()
    certificate = certify_lipschitz(network, IMAGES, [0, 1, 2, 0, 1])
    certificate.to_json(tmp_path / "certificate.json")
    read = LipschitzCertificate.from_json(tmp_path / "certificate.json")
    np.testing.assert_array_equal(read.l2, certificate.l2)
    assert str(read) == str(certificate) and "lower bound for the network itself" in str(read)


REFUSED: list[tuple[Callable[[], Any], str]] = [
    (lambda: sequential(layers.Conv2D(2, 3, activation="gelu")), "gelu"),
    (lambda: sequential(layers.UpSampling2D(2)), "an UpSampling2D|a UpSampling2D"),
    (lambda: sequential(layers.AveragePooling2D(2, padding="same")), "weighs the border more"),
    (lambda: sequential(layers.ReLU(threshold=0.5)), "jumps"),
    (lambda: sequential(layers.Conv2D(2, 3, dtype="mixed_bfloat16")), "computes in bfloat16"),
    (lambda: lambda images: tf.reshape(images, (-1, 48))[:, :3], "expected a Keras network"),
]


@pytest.mark.parametrize(("make", "words"), REFUSED)
def test_what_is_not_known_is_refused_by_name(make: Callable[[], Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        certify_lipschitz(make(), IMAGES, [0, 1, 2, 0, 1])


def test_a_depthwise_convolution_counts_as_the_grouped_one() -> None:
    grouped = sequential(layers.Conv2D(4, 3, groups=2, strides=2, name="grouped"))
    randomize(grouped, np.random.default_rng(3))
    twin = depthwise(grouped)
    assert isinstance(twin.get_layer("grouped"), layers.DepthwiseConv2D)
    labels = np.argmax(grouped(IMAGES), axis=1)
    ours, theirs = (certify_lipschitz(one, IMAGES, labels).l2 for one in (twin, grouped))
    assert theirs.min() > 0
    np.testing.assert_allclose(ours, theirs, rtol=1e-5)  # float32 logits


def test_a_layer_made_of_a_known_one_may_be_another() -> None:
    class Doubled(layers.Dense):
        def call(self, inputs: tf.Tensor) -> tf.Tensor:
            return 2 * super().call(inputs)

    with pytest.raises(InputError, match="a Doubled"):
        certify_lipschitz(sequential(layers.Flatten(), Doubled(4)), IMAGES, [0, 1, 2, 0, 1])


@pytest.mark.slow
def test_the_shipped_network_is_known_from_both_sides() -> None:
    images, labels = datasets.load("fashion_mnist_mini").test_arrays(100)
    network = load("fashion_mnist_lipschitz")
    certificate = certify_lipschitz(network, images, labels)
    report = evaluate(network, images, labels, preset="fast", progress=False)
    whole = dataclasses.replace(report, lipschitz=certificate)  # or an error
    assert whole.lipschitz is not None and whole.attack_ara.value is not None
    assert whole.lipschitz.ara.value > 0.7 * whole.attack_ara.value


def repeating(kind: type) -> keras.Model:
    """A small map is repeated to the size of a large one."""
    images = keras.Input(SHAPE)
    small = layers.GlobalAveragePooling2D(keepdims=True)(images)
    return keras.Model(images, layers.Dense(3)(layers.Flatten()(kind()([images, small]))))


def free_size() -> keras.Model:
    images = keras.Input((None, None, 2))
    return keras.Model(images, layers.Dense(3)(layers.GlobalAveragePooling2D()(images)))


def linear(inputs: tf.Tensor) -> tf.Tensor:
    """Of the name of Keras' own, but steeper."""
    return 10 * inputs


@pytest.mark.parametrize(
    ("network", "message"),
    [
        *(
            (lambda kind=kind: repeating(kind), r"one known shape, got \(6, 4, 2\) and \(1, 1, 2")
            for kind in (
                layers.Add, layers.Subtract, layers.Average, layers.Maximum, layers.Minimum
            )
        ),
        (free_size, "of images of one size"),
        (lambda: sequential(layers.Activation(linear)), "an activation of linear, relu or"),
    ],
)  # fmt: skip
def test_what_would_lengthen_more_than_it_seems_is_refused(
    network: Callable[[], keras.Model], message: str
) -> None:
    made = network()
    norms = np.linalg.norm(IMAGES.reshape(COUNT, -1), axis=1)
    with pytest.raises(InputError, match=message):
        margins_growth(made, np.zeros(COUNT, int), around(made, norms))


def test_one_answer_at_many_places_is_no_last_layer_of_many_classes() -> None:
    images = keras.Input((2, 2, 3))
    network = keras.Model(images, layers.Flatten()(layers.Dense(1)(images)))
    slopes, _ = margins_growth(network, np.zeros(COUNT, int), around(network, np.ones(COUNT)))
    # Any two of the answers are of pixels of their own.
    kernel = np.asarray(network.layers[1].kernel, np.float64)
    assert slopes[0, 1] >= np.sqrt(2) * np.linalg.norm(kernel)
