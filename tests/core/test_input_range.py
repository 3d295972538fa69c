"""The range of pixels: what first layers say of it, and what is noticed on data."""

from typing import Any

import keras
import numpy as np
import pytest
from keras import layers
from networks import SHAPE, in_policy, of_bytes, parts, plain

import tfrobust
from tfrobust.core.door import as_classifier
from tfrobust.core.input_range import BYTES, SIGNED, UNIT, in_range, read_range, to_unit
from tfrobust.core.layers import InputNormalization
from tfrobust.errors import InputError
from tfrobust.robustness.evaluation import Evaluation
from tfrobust.robustness.options import Options

IMAGES = np.random.default_rng(0).random((40, *SHAPE), np.float32)
BLACK_AND_WHITE = (np.random.default_rng(0).random((200, *SHAPE)) > 0.5).astype(np.float32)


def after(*before: Any, channels: int = 1, dtype: str = "float32") -> keras.Model:
    return keras.Sequential([keras.Input((*SHAPE[:2], channels), dtype=dtype), *before, *parts()])


def calculated(function: Any, channels: int = 1) -> keras.Model:
    images = keras.Input((*SHAPE[:2], channels))
    return keras.Model(images, keras.Sequential(parts())(function(images)))


def nested() -> keras.Model:
    inner = keras.Input(SHAPE)
    network = keras.Model(inner, layers.Conv2D(2, 3)(layers.Rescaling(1 / 255)(inner)))
    return keras.Sequential([keras.Input(SHAPE), layers.RandomFlip(), network, layers.Flatten()])


@pytest.mark.parametrize(
    ("network", "expected"),
    [
        (lambda: after(), None),
        (lambda: after(layers.Rescaling(1.0)), None),
        (lambda: after(layers.Rescaling(1 / 255)), BYTES),
        (lambda: after(layers.Rescaling(1 / 127.5, -1)), BYTES),
        (lambda: after(layers.Rescaling(2, -1)), UNIT),
        (lambda: after(layers.Rescaling(255)), UNIT),
        (lambda: after(layers.Rescaling(0.5, 0.5)), SIGNED),
        (lambda: after(layers.Rescaling(127.5, 127.5)), SIGNED),
        (lambda: after(layers.Normalization(mean=120, variance=60**2)), BYTES),
        (lambda: after(layers.Normalization(mean=0.4, variance=0.25**2)), UNIT),
        (lambda: after(InputNormalization([0.4], [0.25])), UNIT),
        (lambda: after(layers.Rescaling(1 / 255), InputNormalization([0.4], [0.2])), BYTES),
        (lambda: after(layers.Lambda(lambda images: images / 255)), BYTES),
        (lambda: after(layers.RandomRotation(0.2), layers.Rescaling(1 / 255)), BYTES),
        (lambda: after(layers.Resizing(16, 16), layers.Rescaling(1 / 255)), BYTES),
        (lambda: after(dtype="uint8"), BYTES),
        (lambda: calculated(lambda images: images / 255.0), BYTES),
        (lambda: calculated(lambda images: images * 2 - 1), UNIT),
        # As keras.applications prepare images in the style of Caffe.
        (
            lambda: calculated(
                lambda images: images[..., ::-1] - np.float32([104.0, 117.0, 124.0]), channels=3
            ),
            BYTES,
        ),
        (nested, BYTES),
        # What comes between leaves no range of pixels.
        (lambda: after(layers.Rescaling(1 / 255), layers.UnitNormalization()), BYTES),
        (lambda: after(layers.Rescaling(2, -1), layers.ReLU(), layers.Rescaling(9.0)), UNIT),
        (lambda: after(layers.RandomFlip(), layers.UnitNormalization()), None),
        (lambda: after(layers.Lambda(lambda images: keras.ops.clip(images, 0, 1))), None),
        (lambda: in_policy("mixed_float16", lambda: after(layers.Rescaling(1 / 255))), BYTES),
        # It begins with weights, and what comes after them says nothing of pixels.
        (lambda: after(layers.Conv2D(1, 1), layers.Rescaling(1 / 255)), None),
    ],
)
def test_what_first_layers_say(network: Any, expected: Any) -> None:
    assert read_range(network()) == expected


def test_a_shipped_network_says_it_takes_pixels_from_0_to_1() -> None:
    network = tfrobust.load("fashion_mnist_mini")
    assert read_range(network) == UNIT
    classifier = as_classifier(network)
    assert classifier.network is network and classifier.input_range == UNIT


def test_what_is_read_gives_way_to_what_is_said() -> None:
    network = after(layers.Rescaling(1 / 255))
    said = as_classifier(network, input_range=(0, 1))
    np.testing.assert_array_equal(said(IMAGES), network(IMAGES))
    read = as_classifier(network)
    np.testing.assert_allclose(read(IMAGES), network(255 * IMAGES), atol=1e-5)


def test_there_and_back() -> None:
    assert in_range(IMAGES, UNIT) is IMAGES and to_unit(IMAGES, UNIT) is IMAGES
    np.testing.assert_array_equal(in_range(IMAGES, SIGNED), 2 * IMAGES - 1)
    back = to_unit(in_range(IMAGES, BYTES), BYTES)
    np.testing.assert_allclose(back, IMAGES, atol=1e-6)


NOTICED = (
    r"is right for \d+% of the images with pixels from 0 to 1 \(33% is a guess\), and for 100% "
    r"with pixels from 0 to 255. Say input_range=\(0, 255\).* input_range=\(0, 1\)"
)


def test_another_range_is_noticed_before_the_long_work() -> None:
    network = of_bytes()
    labels = np.asarray(plain()(BLACK_AND_WHITE)).argmax(axis=1)
    # Where the network is asked about pixels from 0 to 1, it gives one class for all images.
    (rows,) = np.nonzero(labels != np.asarray(network(BLACK_AND_WHITE)).argmax(axis=1))
    images, labels = BLACK_AND_WHITE[rows], labels[rows]
    with pytest.raises(InputError, match=NOTICED):
        tfrobust.evaluate(network, images, labels, preset="fast", progress=False)
    with pytest.raises(InputError, match=NOTICED):
        tfrobust.certify(network, images, labels, progress=False)
    for function in (lambda images: network(images), tfrobust.attacks.Opaque(network)):
        with pytest.raises(InputError, match=NOTICED):
            tfrobust.evaluate(function, images, labels, preset="fast", progress=False)
    for said, accuracy in (((0, 255), 1.0), ((0, 1), 0.0)):
        evaluation = Evaluation(network, images, labels, Options(input_range=said))
        found = evaluation.clean.logits.argmax(axis=1) == evaluation.labels
        assert found.mean() == accuracy


def test_chance_is_not_taken_for_another_range() -> None:
    labels = np.random.default_rng(1).integers(0, 3, 40)
    Evaluation(of_bytes(), IMAGES, labels)
