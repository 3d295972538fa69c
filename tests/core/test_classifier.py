"""The door: what people bring gives the same logits, in inference, and the rest is refused."""

import functools
import gc
import weakref
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from tfrobust.attacks import LinearizedMargin
from tfrobust.core.classifier import Classifier, answers
from tfrobust.core.door import as_classifier
from tfrobust.core.logit_checks import check_logits
from tfrobust.core.opaque import Opaque
from tfrobust.errors import InputError

SHAPE = (8, 6, 1)
IMAGES = np.random.default_rng(0).random((5, *SHAPE), np.float32)


SCALE = tf.constant(3.0)


def network(*before: layers.Layer, activation: str | None = None) -> keras.Model:
    """The same weights at each call."""
    keras.utils.set_random_seed(1)
    made = [*before, layers.Conv2D(4, 3), layers.Flatten(), layers.Dense(3, activation=activation)]
    return keras.Sequential([keras.Input(SHAPE), *made])


def centred(logits: Any) -> np.ndarray:
    """Logits with a mean of 0, because a softmax forgets their mean."""
    logits = np.asarray(logits, np.float64)
    return logits - logits.mean(axis=-1, keepdims=True)


class Method:
    """An object whose method is a network."""

    def __init__(self) -> None:
        self.network = network()

    def logits(self, images: tf.Tensor) -> tf.Tensor:
        return self.network(images, training=False)


def test_methods_of_two_objects_are_two_networks() -> None:
    one, other = Method(), Method()
    assert as_classifier(one.logits) is as_classifier(one.logits)
    assert as_classifier(one.logits) is not as_classifier(other.logits)


def test_a_function_that_wraps_another_is_another_network() -> None:
    """functools.wraps gives it all attributes of the function inside."""

    def inside(images: tf.Tensor) -> tf.Tensor:
        return images[:, 0, :3, 0]

    known = as_classifier(inside)

    @functools.wraps(inside)
    def around(images: tf.Tensor) -> tf.Tensor:
        return -inside(images)

    np.testing.assert_array_equal(as_classifier(around)(IMAGES), -known(IMAGES))
    assert as_classifier(around) is as_classifier(around) and as_classifier(inside) is known


def test_functions_that_hold_no_attributes_are_taken_too() -> None:
    class Slotted:
        __slots__ = ("network",)

        def __init__(self) -> None:
            self.network = network()

        def __call__(self, images: tf.Tensor) -> tf.Tensor:
            return self.network(images, training=False)

    for model in (Slotted(), functools.partial(network(), training=False)):
        np.testing.assert_array_equal(as_classifier(model)(IMAGES), network()(IMAGES))


def test_a_model_that_nobody_holds_is_forgotten() -> None:
    model = network()
    answers(as_classifier(model), tf.constant(IMAGES))
    forgotten = weakref.ref(model)
    del model
    gc.collect()
    assert forgotten() is None


def test_a_model_that_went_through_the_door_is_saved_as_before(tmp_path: Path) -> None:
    model = network()
    as_classifier(model).check(IMAGES)
    model.save(tmp_path / "network.keras")
    loaded = keras.saving.load_model(tmp_path / "network.keras")
    np.testing.assert_array_equal(loaded(IMAGES), model(IMAGES))
    model.export(tmp_path / "exported", verbose=False)


def test_a_trained_model_answers_with_its_new_weights() -> None:
    model = network()
    classifier = as_classifier(model)
    answers(classifier, tf.constant(IMAGES))
    model.set_weights([2 * value for value in model.get_weights()])
    found = answers(classifier, tf.constant(IMAGES))
    # XLA and TensorFlow add in another order.
    np.testing.assert_allclose(found, model(IMAGES), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("bounds", [(0, 255), (-1, 1)])
@pytest.mark.parametrize("form", ["model", "softmax", "function"])
def test_pixels_of_another_range(bounds: tuple[float, float], form: str) -> None:
    low, high = bounds
    rescaling = layers.Rescaling(1 / (high - low), offset=-low / (high - low))
    model: Any = network(rescaling, activation="softmax" if form == "softmax" else None)
    if form == "function":
        inner = model
        model = lambda images: inner(images, training=False)  # noqa: E731
    classifier = as_classifier(model, input_range=bounds)
    expected = centred(network()(IMAGES))
    np.testing.assert_allclose(centred(classifier(IMAGES)), expected, atol=1e-5)
    assert as_classifier(model, input_range=bounds) is classifier
    assert as_classifier(as_classifier(model), input_range=bounds) is classifier
    # Keras' layers say it themselves, and a function does not.
    assert (as_classifier(model) is classifier) is (form != "function")
    if form != "function":
        # Grad-CAM looks for layers in the network's own graph, and training shares its weights.
        names = [layer.name for layer in classifier.network.layers]
        assert [layer.name for layer in model.layers] == names[2:]
        assert {id(w) for w in classifier.network.weights} == {id(w) for w in model.weights}


def test_a_function_is_the_same_before_and_after_it_was_asked() -> None:
    def model(images: tf.Tensor) -> tf.Tensor:
        return tf.reshape(images, (-1, 48))[:, :3] * SCALE

    classifier = as_classifier(model)
    before = classifier.config()
    classifier.check(IMAGES)
    assert classifier.config() == before
    assert as_classifier(model, label=np.int64(1)).check(IMAGES) == 2


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (
            lambda: as_classifier(network(layers.Rescaling(1 / 255))),
            "images (8, 6, 1), 3 classes, multi-class, pixels from 0 to 255 inside, answered by "
            "Keras>",
        ),
        (
            lambda: as_classifier(network(activation="sigmoid"), label=1),
            "label 1: images (8, 6, 1), 2 classes, binary, pixels from 0 to 1 inside, answered by "
            "Keras>",
        ),
        (
            lambda: as_classifier(lambda images: images[:, 0, :, 0]),
            "<Classifier function: images (H, W, C), K classes, multi-class, pixels from 0 to 1 "
            "inside, answered by a function in TensorFlow>",
        ),
        (
            lambda: Opaque(lambda images: images, name="service"),
            "<Classifier service: images (H, W, C), K classes, multi-class, pixels from 0 to 1 "
            "inside, answered by a function without a gradient>",
        ),
    ],
)
def test_it_says_what_it_is(made: Any, said: str) -> None:
    assert said in repr(made())


class Chatty:
    """A network that counts how often it is asked."""

    def __init__(self) -> None:
        self.asked, self.network = 0, network()

    def __call__(self, images: tf.Tensor) -> tf.Tensor:
        self.asked += 1
        return self.network(images, training=False)


def test_what_xla_cannot_compile_runs_without_it() -> None:
    plain = network()

    def by_python(images: tf.Tensor) -> tf.Tensor:
        """Runs outside of TensorFlow, and has a gradient."""
        values = tf.py_function(lambda x: plain(x, training=False), [images], tf.float32)
        return tf.ensure_shape(values, (images.shape[0], 3))

    labels = np.asarray(plain(IMAGES)).argmax(axis=1)
    attack = LinearizedMargin(steps=4, rivals=2, batch_size=5)
    found, expected = attack(by_python, IMAGES, labels), attack(plain, IMAGES, labels)
    np.testing.assert_allclose(found.rmse, expected.rmse, rtol=1e-3)
    assert not as_classifier(by_python).compiles and as_classifier(plain).compiles


def test_a_network_is_checked_once_for_each_size_of_images() -> None:
    model = Chatty()
    for _ in range(3):
        assert as_classifier(model).check(IMAGES) == 3
    assert model.asked == 1


def two_inputs() -> keras.Model:
    one, other = keras.Input(SHAPE), keras.Input(SHAPE)
    return keras.Model([one, other], network()(one + other))


def rounding(images: tf.Tensor) -> tf.Tensor:
    return tf.reshape(tf.round(images), (len(images), -1))


def shares(images: tf.Tensor) -> tf.Tensor:
    """Two outputs that sum to 1, which nothing says to be probabilities."""
    bright = tf.reduce_mean(images, axis=(1, 2, 3))
    return tf.stack([bright, 1 - bright], axis=1)


def toy() -> keras.Model:
    images = keras.Input(SHAPE)
    bright = keras.ops.mean(images, axis=(1, 2, 3))
    return keras.Model(images, keras.ops.stack([bright, 1 - bright], axis=1))


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (lambda: "saved_models/cifar10", r"tfrobust\.load\(path\) reads from a file, got str"),
        (lambda: None, "got NoneType None"),
        (lambda: network(activation="relu"), "ends with relu: take its last activation away, or"),
        (lambda: network(activation="sigmoid"), "ends with 3 sigmoids.* label=0.*take the sigmoid"),
        (lambda: keras.Sequential([layers.Flatten(), layers.Dense(3)]), "call it once on a batch"),
        (lambda: keras.Sequential([keras.Input((5,)), layers.Dense(3)]), r"got one of \(None, 5\)"),
        (two_inputs, "2 inputs and 1 outputs"),
        (toy, "rows of probabilities that sum to 1 .*output='softmax'.* or output='logits'"),
    ],
)  # fmt: skip
def test_refuses_at_the_door(model: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        as_classifier(model())


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (rounding, "got one without, rounding: attacks cannot search"),
        (lambda images: images, r"shape \(2, 8, 6, 1\) for two images"),
        (
            lambda images: tf.reshape(images, (len(images), -1))[:, :1],
            "which lie from 0 to 1: .*output='sigmoid'.* or output='logits'",
        ),
        (lambda images: "cat", "got str"),
        (lambda images: images.reshape(-1), r"raised AttributeError: .*tfrobust\.attacks\.Opaque"),
        (lambda images: tf.reshape(images, (-1, 48)) * np.nan, "NaN or infinity for 2 of 2"),
        (shares, "rows of probabilities that sum to 1 .*output='softmax'.* or output='logits'"),
        (Opaque(lambda images: images, name="far"), r"far to give logits of shape \(2, 'K'\)"),
    ],
)
def test_refuses_when_asked(model: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        as_classifier(model).check(IMAGES)


def test_refuses_a_range_that_is_none() -> None:
    with pytest.raises(InputError, match=r"\(lowest, highest\) pixel"):
        as_classifier(network(), input_range=(1, 0))
    with pytest.raises(InputError, match=r"\(lowest, highest\) pixel"):
        as_classifier(network(), input_range="uint8")
    told = as_classifier(network(), input_range=(0, 255))
    assert as_classifier(told, input_range=[0, 255]) is told
    with pytest.raises(InputError, match=r"input_range=\(0.0, 255.0\), which is known"):
        as_classifier(told, input_range=(-1, 1))


def test_a_classifier_made_by_hand() -> None:
    made = Classifier(lambda images: tf.reshape(images, (-1, 48)), name="mine")
    assert (made.num_classes, made.input_shape, made.check(IMAGES)) == (None, None, 48)
    assert made.output_shape == (None, 48)
    with pytest.raises(InputError, match="images of one size, but mine takes any"):
        print(made.image_shape)


def test_refuses_a_shape_without_a_batch() -> None:
    with pytest.raises(InputError, match=r"input_shape as \(None, H, W, C\), got \(8, 6, 1\)"):
        Opaque(lambda images: images, input_shape=SHAPE, num_classes=3)


def test_logits_are_told_from_what_is_none() -> None:
    check_logits(np.array([[0.5, 0.5], [0.1, -0.2]], np.float32))
    with pytest.raises(InputError, match="for 1 of 2 images; did the training diverge"):
        check_logits(np.array([[0.0, 1.0], [np.inf, 0.0]], np.float32))
