"""Networks that a configuration can name: Keras' own, files, functions; and what does not fit."""

import collections
import dataclasses
from pathlib import Path

import keras
import numpy as np
import pytest
from small_runs import INFO, Interrupt

from tfrobust import datasets
from tfrobust.core.door import as_labels
from tfrobust.datasets import DatasetInfo
from tfrobust.errors import InputError
from tfrobust.runs.build import build, total_steps
from tfrobust.runs.config import Config
from tfrobust.runs.loop import fit
from tfrobust.runs.network import make
from tfrobust.runs.network_section import NetworkConfig
from tfrobust.runs.recipes import fashion_mnist_mini

MODULE = """
import keras


def small(input_shape, num_classes):
    return keras.Sequential(
        [keras.Input(input_shape), keras.layers.Flatten(), keras.layers.Dense(num_classes)]
    )


def dropping(input_shape, num_classes):
    return keras.Sequential(
        [
            keras.Input(input_shape),
            keras.layers.Flatten(),
            keras.layers.Dropout(0.5),
            keras.layers.Dense(num_classes),
        ]
    )


def mixed(input_shape, num_classes):
    return keras.Sequential(
        [
            keras.Input(input_shape),
            keras.layers.Flatten(),
            keras.layers.Dense(8, "relu"),
            keras.layers.Dense(8, "relu6"),
            keras.layers.Dense(8, "gelu"),
            keras.layers.Dense(num_classes),
        ]
    )


def wrong(input_shape, num_classes):
    return small(input_shape, num_classes + 1)


def broken(input_shape, num_classes):
    raise KeyError("no such layer")


def none(input_shape, num_classes):
    return None
"""


def named(architecture: str, info: DatasetInfo = INFO, precision: str = "float32") -> keras.Model:
    return make(NetworkConfig(architecture=architecture), info, precision=precision)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's own folder, with a module and a file of a network."""
    (tmp_path / "my_networks.py").write_text(MODULE)
    network = keras.Sequential(
        [keras.Input((32, 32, 3)), keras.layers.Flatten(), keras.layers.Dense(3, "softmax")]
    )
    network.save(tmp_path / "mine.keras")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def test_a_network_of_keras_normalises_its_images_inside() -> None:
    keras.utils.set_random_seed(1)
    network = named("keras:MobileNet")
    assert network.input_shape == (None, 32, 32, 3) and network.output_shape == (None, 3)
    keras.utils.set_random_seed(1)
    bare = keras.applications.MobileNet(
        weights=None, input_shape=(32, 32, 3), classes=3, classifier_activation=None
    )
    images = np.random.default_rng(0).random((2, 32, 32, 3), np.float32)
    normal = (images - np.float32(INFO.mean)) / np.float32(INFO.std)
    # float32 through 28 layers.
    np.testing.assert_allclose(network(images), bare(normal), rtol=1e-4, atol=1e-5)
    momenta = {getattr(layer, "momentum", None) for layer in network.layers}
    assert momenta == {None, 0.9} and 0.99 in {getattr(one, "momentum", 0) for one in bare.layers}


def test_a_network_of_keras_leaves_its_own_preprocessing_out() -> None:
    kinds = [type(layer).__name__ for layer in named("keras:MobileNetV3Small").layers[:3]]
    assert kinds[:2] == ["InputLayer", "InputNormalization"] and "Rescaling" not in kinds


def test_grouped_convolutions_become_depthwise_ones() -> None:
    keras.utils.set_random_seed(1)
    layers = named("keras:ConvNeXtTiny")._flatten_layers()
    kinds = collections.Counter(type(layer).__name__ for layer in layers)
    # 18 blocks of three stages of 3, one of 9; a stem and three reductions are full convolutions.
    assert (kinds["DepthwiseConv2D"], kinds["Conv2D"]) == (18, 4)


def test_a_file_goes_on_from_its_weights(here: Path) -> None:
    network, kept = named("mine.keras"), keras.saving.load_model("mine.keras")
    for ours, theirs in zip(network.variables, kept.variables, strict=True):
        np.testing.assert_array_equal(ours.numpy(), theirs.numpy())


def test_a_file_of_other_classes_gets_a_new_last_layer(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    network = keras.Sequential(
        [keras.Input((32, 32, 3)), keras.layers.Conv2D(2, 3), keras.layers.Flatten()]
    )
    network.add(keras.layers.Dense(5, "softmax"))
    network.save("five.h5")
    made = named("five.h5")
    assert made.output_shape == (None, 3)
    assert "five.h5 gives 5 classes: it gets a new last layer for the 3" in capsys.readouterr().err
    for ours, theirs in zip(made.variables[:2], network.variables[:2], strict=True):
        np.testing.assert_array_equal(ours.numpy(), theirs.numpy())


def test_relus_are_exchanged_unless_all_shall_stay(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    network = named("python:my_networks:mixed")
    told = capsys.readouterr().err
    assert "1 × ReLU became Half-Huber ReLU" in told
    assert "1 × gelu stays as it is: it is smooth" in told
    assert "1 × ReLU with a ceiling, slope or threshold stays as it is: there is no Half" in told
    architecture = "python:my_networks:mixed"
    same = make(NetworkConfig(architecture=architecture, activation="relu"), INFO)
    same.set_weights(network.get_weights())
    images = np.random.default_rng(0).random((2, 32, 32, 3), np.float32)
    assert np.abs(np.asarray(same(images)) - np.asarray(network(images))).max() > 1e-3
    assert not capsys.readouterr().err


def test_a_function_gets_the_data_s_shape_and_classes(here: Path) -> None:
    network = named("python:my_networks:small", precision="bfloat16")
    assert network.input_shape == (None, 32, 32, 3) and network.output_shape == (None, 3)
    assert {layer.compute_dtype for layer in network.layers} == {"bfloat16"}
    assert keras.config.dtype_policy().name == "float32"


@pytest.mark.parametrize(
    ("architecture", "said"),
    [
        ("keras:EfficientNetV9", "of keras.applications, got 'EfficientNetV9'. Did you mean Eff"),
        ("keras:resnet", "to name a network of keras.applications, got 'resnet'"),
        ("python:my_networks:large", "got 'python:my_networks:large': .* no attribute 'large'"),
        ("python:no_such_module:f", "got 'python:no_such_module:f': No module named"),
        ("python:my_networks", "got 'python:my_networks': "),
        ("python:my_networks:broken", "but it raised KeyError: 'no such layer'"),
        ("python:my_networks:none", "but it gave a NoneType"),
        ("python:my_networks:wrong", "3 classes, as the data has them; .* gives 4"),
        ("nowhere.keras", "there is nothing at nowhere.keras"),
    ],
)
def test_what_is_no_network_is_refused(architecture: str, said: str, here: Path) -> None:
    with pytest.raises(InputError, match=said):
        named(architecture)


def test_what_does_not_fit_the_data_is_refused(here: Path) -> None:
    with pytest.raises(InputError, match=r"images \(28, 28, 1\) .* it takes \(32, 32, 3\)"):
        named("mine.keras", datasets.load("fashion_mnist_mini").info)
    small = dataclasses.replace(INFO, image_shape=(16, 16, 3))
    with pytest.raises(InputError, match=r"VGG16 cannot be made for images \(16, 16, 3\)"):
        named("keras:VGG16", small)
    with pytest.raises(
        InputError, match=r"`training.precision` float32 with `network.architecture`"
    ):
        named("mine.keras", precision="bfloat16")


def config_of(function: str, steps: int) -> Config:
    """A few steps of a network of the module."""
    return fashion_mnist_mini().replace(
        {
            "network.architecture": f"python:my_networks:{function}",
            "training.batch_size": 20,
            "training.max_steps": steps,
        }
    )


@pytest.mark.slow
def test_a_function_s_network_trains_with_the_robust_loss(here: Path, tmp_path: Path) -> None:
    source = datasets.load("fashion_mnist_mini")
    config = config_of("small", steps=2)
    classifier = build(config, source.info, total_steps(config, source))
    before = [variable.numpy() for variable in classifier.network.trainable_variables]
    assert fit(classifier, source, config, tmp_path, jit=False).steps == 2
    moved = [
        np.abs(variable.numpy() - old).max()
        for variable, old in zip(classifier.network.trainable_variables, before, strict=True)
    ]
    assert min(moved) > 0


@pytest.mark.slow
def test_dropout_goes_on_where_it_stopped(here: Path, tmp_path: Path) -> None:
    source = datasets.load("fashion_mnist_mini")
    config = config_of("dropping", steps=4)

    def trained(folder: Path, *callbacks: keras.callbacks.Callback) -> list[np.ndarray]:
        folder.mkdir(exist_ok=True)
        classifier = build(config, source.info, total_steps(config, source))
        fit(classifier, source, config, folder, callbacks=callbacks)
        return [variable.numpy() for variable in classifier.network.variables]

    whole = trained(tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path / "cut", Interrupt(2))
    cut = trained(tmp_path / "cut")
    for ours, theirs in zip(cut, whole, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    tables = [(tmp_path / name / "metrics.csv").read_text() for name in ("whole", "cut")]
    assert tables[0] == tables[1] and tables[0].count("\n") == 5


def test_thresholds_of_other_weights_are_not_taken_over(tmp_path: Path) -> None:
    network = keras.Sequential(
        [keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(4)]
    )
    as_labels(network, output="logits", thresholds=[0.1, 0.2, 0.3, 0.4]).network.save(
        tmp_path / "mine.keras"
    )
    config = NetworkConfig(architecture=str(tmp_path / "mine.keras"), activation="relu")
    for classes in (4, 3):
        info = dataclasses.replace(
            INFO,
            image_shape=(8, 8, 1),
            class_names=tuple("abcd"[:classes]),
            multi_label=True,
        )
        assert as_labels(make(config, info)).thresholds == (0.5,) * classes
