"""SavedModels of others: which signature is taken, and what it is taken for."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from networks import SHAPE, channels_first, images_for, plain, sequential

import tfrobust
from tfrobust.errors import InputError

IMAGES = images_for(1)


def write(folder: Path, network: Any, *signatures: str, dtype: Any = tf.float32, shape=SHAPE):
    """A SavedModel with a function for each signature; → what is loaded."""
    module = tf.Module()
    module.weights = [variable.value for variable in network.variables]
    spec = tf.TensorSpec((None, *shape), dtype, "pixels")

    def classify(pixels: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"scores": network(tf.cast(pixels, tf.float32), training=False)}

    def count(pixels: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"count": tf.shape(pixels)[0]}

    made = {
        name: tf.function(count if name == "count" else classify, input_signature=[spec])
        for name in signatures
    }
    tf.saved_model.save(module, str(folder), signatures=made)
    return tfrobust.load(folder)


def test_the_signature_that_classifies_is_taken(tmp_path: Path) -> None:
    found = write(tmp_path / "one", plain(), "count", "mine")
    np.testing.assert_allclose(found(IMAGES), plain()(IMAGES), atol=1e-5)
    assert found.image_shape == SHAPE and found.num_classes == 3


def test_what_tensorflow_loads_is_taken_as_well(tmp_path: Path) -> None:
    write(tmp_path / "one", plain(), "count", "mine")
    found = tfrobust.as_classifier(tf.saved_model.load(str(tmp_path / "one")), label=1)
    assert found.has_gradient
    np.testing.assert_allclose(found(IMAGES)[:, 1], plain()(IMAGES)[:, 1], atol=1e-5)


def test_bytes_have_no_gradient(tmp_path: Path) -> None:
    network = sequential(keras.layers.Rescaling(1 / 255))
    found = write(tmp_path / "one", network, "mine", dtype=tf.uint8)
    assert found.input_range == (0, 255) and not found.has_gradient
    assert found.check(IMAGES) == 3
    np.testing.assert_allclose(found(IMAGES), plain()(IMAGES), atol=1e-5)


def test_channels_may_come_first(tmp_path: Path) -> None:
    found = write(tmp_path / "one", channels_first(), "mine", shape=(1, *SHAPE[:2]))
    assert found.image_shape == SHAPE and found.check(IMAGES) == 3
    shares = tf.nn.softmax(found(IMAGES))
    np.testing.assert_allclose(shares, tf.nn.softmax(plain()(IMAGES)), atol=1e-5)


def test_several_that_classify_are_asked_about(tmp_path: Path) -> None:
    said = r"one of the name serving_default, got \['coarse', 'fine'\]. Give the one that you mean"
    with pytest.raises(InputError, match=said):
        write(tmp_path / "one", plain(), "coarse", "fine")
    found = write(tmp_path / "two", plain(), "coarse", "serving_default")
    np.testing.assert_allclose(found(IMAGES), plain()(IMAGES), atol=1e-5)


def test_what_classifies_nothing_is_named(tmp_path: Path) -> None:
    said = r"one input, images .* got \{'count': 'pixels float32 .* → count int32 \(\)'\}"
    with pytest.raises(InputError, match=said):
        write(tmp_path / "one", plain(), "count")


def test_a_gradient_that_was_not_saved_is_missed(tmp_path: Path) -> None:
    module = tf.Module()
    spec = tf.TensorSpec((None, *SHAPE), tf.float32)

    def rounded(images: tf.Tensor) -> tf.Tensor:
        return tf.reshape(tf.round(3 * images), (-1, 48))[:, :3]

    tf.saved_model.save(
        module, str(tmp_path / "one"), {"mine": tf.function(rounded, input_signature=[spec])}
    )
    assert not tfrobust.load(tmp_path / "one").has_gradient
