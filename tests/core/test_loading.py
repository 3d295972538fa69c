"""Every form that a network has on disk, or a name in Python, comes back as the same network."""

import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import keras
import numpy as np
import onnx
import pytest
import tensorflow as tf
import tf2onnx
from keras import layers

from tfrobust.core.classifier import Classifier
from tfrobust.core.door import as_classifier
from tfrobust.core.loading import class_names, load
from tfrobust.core.opaque import Opaque
from tfrobust.errors import InputError
from tfrobust.training import RobustClassifier

SHAPE = (6, 5, 1)
IMAGES = np.random.default_rng(0).random((4, *SHAPE), np.float32)
MODULE = """
import keras
import numpy as np

network = keras.saving.load_model("plain.keras")


def answer(images):
    return np.asarray(network(images))


def broken(images):
    raise ValueError("out of order")
"""


def plain() -> keras.Model:
    keras.utils.set_random_seed(3)
    made = [layers.Conv2D(4, 3, activation="softplus"), layers.Flatten(), layers.Dense(3)]
    return keras.Sequential([keras.Input(SHAPE), *made])


def write_saved_model(path: Path) -> None:
    network = plain()
    module = tf.Module()
    module.weights = [variable.value for variable in network.variables]
    spec = tf.TensorSpec((None, *SHAPE), tf.float32, "images")
    served = tf.function(lambda images: {"logits": network(images)}, input_signature=[spec])
    tf.saved_model.save(module, str(path), signatures={"serving_default": served})


def write_version(path: Path) -> None:
    """The folder of versions, of which the newest is a SavedModel."""
    path.mkdir()
    (path / "1").mkdir()
    plain().save(path / "1" / "network.keras")
    write_saved_model(path / "2")


def write_onnx(path: Path) -> None:
    spec = tf.TensorSpec((None, *SHAPE), tf.float32, "images")
    network = plain()
    converted, _ = tf2onnx.convert.from_function(
        tf.function(lambda images: network(images)), input_signature=[spec], opset=17
    )
    onnx.save(converted, path)


def write_robust(path: Path) -> None:
    robust = RobustClassifier(plain())
    robust.compile(optimizer="sgd")
    robust.save(path)


def write_module(path: Path) -> None:
    plain().save(path.parent / "plain.keras")
    (path.parent / "written.py").write_text(MODULE)


# By name: what writes it, and what it becomes.
FORMS: dict[str, tuple[Callable[[Path], None], type]] = {
    "one.keras": (lambda path: plain().save(path), keras.Model),
    "one.h5": (lambda path: plain().save(path), keras.Model),
    "robust.keras": (write_robust, keras.Model),
    "saved_model": (write_saved_model, Classifier),
    "versions": (write_version, Classifier),
    "one.onnx": (write_onnx, Classifier if find_spec("onnx2torch") else Opaque),
    "python:written:answer": (write_module, Opaque),
    "python:written:network": (write_module, keras.Model),
}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "written", raising=False)
    return tmp_path


@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5")
@pytest.mark.parametrize("name", FORMS)
def test_what_was_written_is_read(name: str, here: Path) -> None:
    write, kind = FORMS[name]
    write(here / name)
    model = load(name)
    assert isinstance(model, kind) and not isinstance(model, RobustClassifier)
    classifier = as_classifier(model)
    assert classifier.check(IMAGES) == 3 and class_names(name) is None
    assert classifier.has_gradient is (kind is not Opaque)
    # Runtimes round differently.
    np.testing.assert_allclose(classifier(IMAGES), plain()(IMAGES), atol=1e-5)
    if name != "python:written:answer":
        assert classifier.image_shape == SHAPE


def test_a_saved_model_of_another_range(here: Path) -> None:
    write_saved_model(here / "one")
    expected = plain()(2 * IMAGES - 1)
    found = as_classifier(load("one"), input_range=(-1, 1))
    np.testing.assert_allclose(found(IMAGES), expected, atol=1e-5)


@pytest.mark.parametrize("name", ["one.keras", "one.onnx", "saved_model", "python:written:answer"])
def test_what_the_file_does_not_say_is_said(name: str, here: Path) -> None:
    FORMS[name][0](here / name)
    found = load(name, input_range=(0, 255), label=1)
    assert isinstance(found, Classifier)
    own = plain()(255 * IMAGES)
    np.testing.assert_allclose(found(IMAGES)[:, 1], own[:, 1], rtol=1e-4)
    assert (found.input_range, found.task) == ((0, 255), "binary")
    with pytest.raises(InputError, match="no label=7"):
        load(name, label=7)(IMAGES)


def test_a_functions_own_words_are_heard(here: Path) -> None:
    write_module(here / "x")
    with pytest.raises(InputError, match=r"but broken raised ValueError: out of order$"):
        as_classifier(load("python:written:broken")).check(IMAGES)


def test_a_robust_classifier_is_asked_as_its_network() -> None:
    robust = RobustClassifier(plain())
    assert as_classifier(robust).network is robust.network
