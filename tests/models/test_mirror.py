"""Networks that look at an image and at its mirror image."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from tfrobust.core.loading import load
from tfrobust.errors import InputError
from tfrobust.explanations import GradCAM
from tfrobust.exporting import onnx
from tfrobust.models import mirrored, resnet_cifar

IMAGES = np.random.default_rng(0).random((3, 12, 8, 3), np.float32)
# Two orders of summing a hundred values of size 1 in float32 differ by less than this.
CLOSE = {"atol": 1e-5}


@pytest.fixture(scope="module")
def network() -> keras.Model:
    keras.utils.set_random_seed(0)
    made = resnet_cifar(depth=8, width=4, num_classes=3, input_shape=(12, 8, 3))
    rng = np.random.default_rng(1)
    # The last convolution of a block starts at zero. Random weights make every block count.
    made.set_weights([np.abs(rng.normal(0.3, 0.2, w.shape)) for w in made.get_weights()])
    return made


def test_logits_are_the_mean_of_both_views(network: keras.Model) -> None:
    flipped = IMAGES[:, :, ::-1]
    expected = (np.asarray(network(IMAGES)) + np.asarray(network(flipped))) / 2
    assert np.abs(expected - np.asarray(network(IMAGES))).max() > 1e-3
    twin = mirrored(network)
    np.testing.assert_allclose(twin(IMAGES), expected, rtol=1e-5, **CLOSE)
    np.testing.assert_allclose(twin(flipped), twin(IMAGES), rtol=1e-5, **CLOSE)


def test_the_gradient_goes_through_both_views(network: keras.Model) -> None:
    twin, images = mirrored(network), tf.constant(IMAGES)
    with tf.GradientTape() as tape:
        tape.watch(images)
        first = twin(images)[:, 0]
    of_twin = np.asarray(tape.gradient(first, images))
    # The logits of both images are the same, so their gradients are each other's mirror images.
    with tf.GradientTape() as tape:
        tape.watch(images)
        first = twin(images[:, :, ::-1])[:, 0]
    np.testing.assert_allclose(
        of_twin, tape.gradient(first, images), atol=1e-5 * np.abs(of_twin).max()
    )


def test_the_map_of_grad_cam_is_mirrored_with_the_image(network: keras.Model) -> None:
    twin = mirrored(network)
    here, there = (GradCAM()(twin, images, 0).map for images in (IMAGES, IMAGES[:, :, ::-1]))
    assert here.std() > 0
    np.testing.assert_allclose(here, there[:, :, ::-1], atol=1e-4)


@pytest.mark.slow
def test_it_is_kept_and_written_as_any_network(network: keras.Model, tmp_path: Path) -> None:
    twin = mirrored(network)
    twin.save(tmp_path / "twin.keras")
    np.testing.assert_array_equal(load(tmp_path / "twin.keras")(IMAGES), twin(IMAGES))
    onnx.write_explainer(twin, tmp_path / "explainer.onnx", class_names=["a", "b", "c"])
    assert len(twin.get_weights()) == len(network.get_weights())
    # The copy has weights of its own, so training one network does not change the other.
    twin.set_weights([weight + 1 for weight in network.get_weights()])
    assert np.abs(twin.get_weights()[0] - network.get_weights()[0]).min() > 0.5


def test_it_is_a_layer_as_the_network_is(network: keras.Model, tmp_path: Path) -> None:
    twin = mirrored(network)
    twin.save(tmp_path / "twin.keras")
    for each in (twin, load(tmp_path / "twin.keras")):
        half = keras.Sequential([each, layers.Rescaling(0.5)])
        np.testing.assert_allclose(half(IMAGES), np.asarray(twin(IMAGES)) / 2, rtol=1e-5)


def test_a_sequential_network() -> None:
    keras.utils.set_random_seed(0)
    plain = keras.Sequential(
        [keras.Input((12, 8, 3)), layers.Conv2D(4, 3), layers.GlobalAveragePooling2D()]
    )
    expected = (np.asarray(plain(IMAGES)) + np.asarray(plain(IMAGES[:, :, ::-1]))) / 2
    np.testing.assert_allclose(mirrored(plain)(IMAGES), expected, **CLOSE)


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (lambda: "network", "got a str"),
        (lambda: keras.Sequential([layers.Dense(2)]), "built"),
        (lambda: keras.Sequential([keras.Input((4, 4, 1)), layers.Flatten()]), "got 0"),
        (lambda: keras.Sequential([keras.Input((4, None, 1)), layers.Conv2D(1, 1)]), "one size"),
    ],
)
def test_what_cannot_be_mirrored_is_refused(network: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        mirrored(network())
