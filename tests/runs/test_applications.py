"""Networks of keras.applications with new and with trained weights."""

import dataclasses
import inspect
import re
import sys
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest
from keras.src.legacy.saving import legacy_h5_format
from small_runs import INFO

from tfrobust import datasets
from tfrobust.datasets.arrays import ArraySource
from tfrobust.errors import InputError
from tfrobust.runs.applications import _preprocessing, application
from tfrobust.runs.build import build
from tfrobust.runs.loop import fit
from tfrobust.runs.metrics_log import read_metrics
from tfrobust.runs.recipes import fashion_mnist_mini

IMAGES = np.random.default_rng(0).random((2, 32, 32, 3), np.float32)
# float32 through 28 layers.
FLOAT32 = {"rtol": 1e-4, "atol": 1e-5}
MODULES = {
    sys.modules[make.__module__]: make
    for _, make in inspect.getmembers(keras.applications, inspect.isfunction)
}


@pytest.fixture(scope="module")
def body() -> keras.Model:
    """MobileNet without its top, whose weights stand for trained ones."""
    keras.utils.set_random_seed(1)
    return keras.applications.MobileNet(
        weights=None, include_top=False, input_shape=(32, 32, 3), pooling="avg"
    )


@pytest.fixture(scope="module")
def weights(body: keras.Model, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("weights") / "mine_no_top.weights.h5"
    body.save_weights(path)
    return str(path)


@pytest.fixture(scope="module")
def network(weights: str) -> keras.Model:
    return application("MobileNet", INFO, weights)


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__.rpartition(".")[2])
def test_images_are_normalised_as_each_network_was_trained(module) -> None:
    order, mean, std = _preprocessing(MODULES[module])
    expected = np.asarray(module.preprocess_input(255 * IMAGES))
    # Half a float32 step of 255.
    np.testing.assert_allclose((IMAGES[..., order] - mean) / std, expected, rtol=1e-5, atol=3e-5)


def test_trained_weights_see_what_they_were_trained_on(
    body: keras.Model, network: keras.Model
) -> None:
    assert network.input_shape == (None, 32, 32, 3) and network.output_shape == (None, 3)
    features = body(keras.applications.mobilenet.preprocess_input(255 * IMAGES))
    kernel, bias = (np.asarray(part) for part in network.get_layer("logits").weights)
    np.testing.assert_allclose(network(IMAGES), features @ kernel + bias, **FLOAT32)


def test_a_grey_image_is_three_equal_channels_to_trained_weights(
    body: keras.Model, weights: str
) -> None:
    network = application(
        "MobileNet",
        dataclasses.replace(INFO, image_shape=(32, 32, 1), mean=(0.5,), std=(0.25,)),
        weights,
    )
    grey = IMAGES[..., :1]
    features = body(keras.applications.mobilenet.preprocess_input(255 * np.repeat(grey, 3, -1)))
    kernel, bias = (np.asarray(part) for part in network.get_layer("logits").weights)
    np.testing.assert_allclose(network(grey), features @ kernel + bias, **FLOAT32)


def test_moving_averages_follow_within_a_short_training(network: keras.Model) -> None:
    momenta = {getattr(layer, "momentum", None) for layer in network.layers}
    assert momenta == {None, 0.9}


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("EfficientNetV2B9", "EfficientNetV2B"),
        ("mobilenetv3small", "MobileNetV3Small"),
        ("Resnet50", "ResNet50"),
    ],
)
def test_a_misspelt_name_is_answered_by_its_neighbours(name: str, near: str) -> None:
    with pytest.raises(InputError, match=f"got '{name}'. Did you mean {near}"):
        application(name, INFO, None)


@pytest.mark.parametrize("kind", ["another", "damaged"])
def test_what_are_not_the_network_s_weights_is_refused(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "other_no_top.weights.h5"
    keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)]).save_weights(path)
    if kind == "damaged":
        path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(InputError, match=f"{re.escape(str(path))} to hold weights of keras:Mobile"):
        application("MobileNet", INFO, str(path))


def test_a_download_that_fails_says_what_else_can_be_done(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # Nothing listens at this address, and nothing is in this cache.
    module = sys.modules[keras.applications.MobileNet.__module__]
    monkeypatch.setattr(module, "BASE_WEIGHT_PATH", "http://127.0.0.1:9/")
    monkeypatch.setattr("keras.src.backend.config.keras_home", lambda: str(tmp_path))
    with pytest.raises(InputError, match="ImageNet weights of keras:MobileNet, but: URL fetch"):
        application("MobileNet", INFO, "imagenet")


def test_a_size_that_a_network_cannot_take_is_refused_with_weights_too(weights: str) -> None:
    small = dataclasses.replace(INFO, image_shape=(16, 16, 3))
    with pytest.raises(InputError, match=r"cannot be made for images \(16, 16, 3\): Input size"):
        application("MobileNet", small, weights)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["MobileNetV3Small", "EfficientNetV2B0", "ResNet50"])
def test_files_as_keras_publishes_them_are_read(name: str, tmp_path: Path) -> None:
    make = getattr(keras.applications, name)
    keras.utils.set_random_seed(2)
    body = make(weights=None, include_top=False, input_shape=(32, 32, 3), pooling="avg")
    path = tmp_path / "published_no_top.h5"
    with h5py.File(path, "w") as file:  # the older form, in the order of the layers
        legacy_h5_format.save_weights_to_hdf5_group(file, body)
    network = application(name, INFO, str(path))
    module = sys.modules[make.__module__]
    features = body(module.preprocess_input(255 * IMAGES))
    kernel, bias = (np.asarray(part) for part in network.get_layer("logits").weights)
    np.testing.assert_allclose(network(IMAGES), features @ kernel + bias, rtol=1e-3, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("named", [True, False])
def test_efficient_networks_scale_as_keras_does_for_weights_of_imagenet(
    named: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    make = keras.applications.EfficientNetB0
    keras.utils.set_random_seed(2)
    body = make(weights=None, include_top=False, input_shape=(32, 32, 3), pooling="avg")
    normal = next(one for one in body.layers if isinstance(one, keras.layers.Normalization))
    normal.set_weights(
        [np.float32([0.485, 0.456, 0.406]), np.float32([0.229, 0.224, 0.225]), np.array(0)]
    )
    path = tmp_path / "published_no_top.weights.h5"
    body.save_weights(path)
    # In the place of a download. Keras adds a layer for weights of this name.
    module = sys.modules[make.__module__]
    monkeypatch.setattr(module.file_utils, "get_file", lambda *_, **__: str(path))
    true = make(weights="imagenet", include_top=False, input_shape=(32, 32, 3), pooling="avg")
    network = application("EfficientNetB0", INFO, "imagenet" if named else str(path))
    kernel, bias = (np.asarray(part) for part in network.get_layer("logits").weights)
    features = true(255 * IMAGES)
    np.testing.assert_allclose(network(IMAGES), features @ kernel + bias, rtol=1e-3, atol=1e-4)


@pytest.mark.slow
def test_a_mobile_network_trains_from_the_share_that_was_asked_for(tmp_path: Path) -> None:
    images, labels = datasets.load("fashion_mnist_mini").test_arrays(40)
    pixels = np.pad((images * 255).astype(np.uint8), ((0, 0), (2, 2), (2, 2), (0, 0)))
    info = dataclasses.replace(
        datasets.load("fashion_mnist_mini").info,
        image_shape=(32, 32, 1),
        train_images=40,
        test_images=40,
    )
    source = ArraySource(info, lambda: (pixels, labels), lambda: (pixels, labels))
    config = fashion_mnist_mini().replace(
        {
            "network.architecture": "keras:MobileNetV3Small",
            "training.batch_size": 20,
            "training.epochs": 2,
            "psi.initial_share": 0.05,
        }
    )
    classifier = build(config, info, 4)
    fit(classifier, source, config, tmp_path, jit=False)
    rows = read_metrics(tmp_path / "metrics.csv")
    penalties = np.array([row["psi"] * row["penalty"] for row in rows])
    shares = penalties / (penalties + [row["cross_entropy"] for row in rows])
    # metrics.csv has float32.
    assert shares[0] == pytest.approx(0.05, rel=1e-4) and shares.max() < 0.0501
    assert rows[0]["psi"] < 22  # of a ResNet it is 220


@pytest.mark.slow
def test_a_network_that_divides_by_255_gets_such_images_with_new_weights_too() -> None:
    keras.utils.set_random_seed(1)
    network = application("EfficientNetB0", INFO, None)
    keras.utils.set_random_seed(1)
    bare = keras.applications.EfficientNetB0(
        weights=None, input_shape=(32, 32, 3), classes=3, classifier_activation=None
    )
    np.testing.assert_allclose(network(IMAGES), bare(255 * IMAGES), rtol=1e-3, atol=1e-4)
