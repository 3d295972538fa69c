import gc
import shutil
import weakref

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tfrobust.attacks import L2Min
from tfrobust.core.classifier import Classifier
from tfrobust.core.door import as_classifier
from tfrobust.core.loading import class_names, load
from tfrobust.errors import InputError

CLASSES = ["cat", "dog", "ship"]


@pytest.fixture
def bare(version, tmp_path):
    """The version without its Keras file and card: a SavedModel as anyone might bring."""
    folder = shutil.copytree(version, tmp_path / "1")
    (folder / "network.keras").unlink()
    (folder / "model_card.json").unlink()
    return folder


@pytest.mark.parametrize("form", ["folder", "version", "file"])
def test_an_export_comes_back_as_keras(network, version, images, form):
    path = {"folder": version.parent, "version": version, "file": version / "network.keras"}[form]
    model = load(str(path))
    assert isinstance(model, keras.Model)
    np.testing.assert_allclose(model(images), network(images), atol=1e-6)
    assert class_names(path) == CLASSES


@pytest.mark.slow
def test_a_saved_model_alone_can_be_attacked(network, bare, images):
    model = load(bare)
    assert isinstance(model, Classifier) and model.has_gradient
    assert model.input_shape == network.input_shape
    assert model.output_shape == network.output_shape
    assert class_names(bare) is None
    gc.collect()
    labels = network(images).numpy().argmax(-1)
    # The attack passes the model as an argument to a compiled function.
    result = L2Min(steps=10, path=1.0, batch_size=5)(model, images, labels)
    assert result.found.any()
    fooled = network(result.adversarials).numpy().argmax(-1) != labels
    np.testing.assert_array_equal(fooled, result.found)


def test_a_served_model_has_the_networks_gradient(network, bare, images):
    model = load(bare)
    assert weakref.ref(model)() is model and hash(model)

    def gradient(model):
        batch = tf.constant(images)
        with tf.GradientTape() as tape:
            tape.watch(batch)
            total = tf.reduce_sum(model(batch)[:, 0])
        return tape.gradient(total, batch)

    expected = gradient(network)
    assert np.abs(expected).max() > 1e-4
    np.testing.assert_allclose(gradient(model), expected, atol=1e-5)


def test_the_newest_version_is_taken(version, tmp_path):
    shutil.copytree(version, tmp_path / "9")
    shutil.copytree(version, tmp_path / "10")
    (tmp_path / "11").mkdir()  # holds no model
    card = tmp_path / "10" / "model_card.json"
    card.write_text(card.read_text().replace('"cat"', '"hare"'))
    assert class_names(tmp_path) == ["hare", "dog", "ship"]


def write_no_model(path, kind):
    if kind == "text.keras":
        path.write_text("no model")
    elif kind == "truncated.keras":
        keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)]).save(path)
        path.write_bytes(path.read_bytes()[:-40])
    elif kind == "vectors.keras":
        keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)]).save(path)
    elif kind == "lambda.keras" or kind == "lambda.h5":
        inputs = keras.Input((4, 4, 1))
        code = keras.layers.Lambda(lambda x: x[:, 0, :, 0], output_shape=(4,))
        keras.Model(inputs, code(inputs)).save(path)
    elif kind == "old.h5":
        path.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(64))
    elif kind == "image.png":
        Image.new("L", (4, 4)).save(path)
    elif kind == "empty":
        path.mkdir()
    elif kind == "damaged":
        path.mkdir()
        (path / "saved_model.pb").write_bytes(b"no model")
    elif kind == "other":
        module = tf.Module()
        double = tf.function(lambda x: 2 * x).get_concrete_function(tf.TensorSpec([], tf.float32))
        tf.saved_model.save(module, str(path), signatures={"serving_default": double})


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("missing", "a network that comes with the package .*; there is nothing at"),
        ("text.keras", "is cut off, or is another file"),
        ("truncated.keras", "is cut off, or is another file"),
        ("vectors.keras", r"images \(None, height, width, channels\), got one of \(None, 2\)"),
        ("lambda.keras", "is a Python lambda.*safe_mode=False.*and give the model"),
        ("lambda.h5", "is a Python lambda.*safe_mode=False.*and give the model"),
        ("old.h5", "cannot be read"),
        ("image.png", "image.png is none of them"),
        ("empty", "holds none of them"),
        ("damaged", "cannot be read"),
        ("other", r"a signature with one input, images .* 'x float32 \(\) → output_0 float32"),
    ],
)
def test_what_is_no_model_is_refused(tmp_path, kind, message):
    path = tmp_path / kind
    write_no_model(path, kind)
    with pytest.raises(InputError, match=f"(?s){message}"):
        as_classifier(load(path))


def test_a_damaged_card_is_refused(bare):
    (bare / "model_card.json").write_text("{")
    with pytest.raises(InputError, match="model card"):
        class_names(bare)
