"""Networks of labels that may hold together, at the door."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfrobust
from tfrobust.core.one_label import one_by_one
from tfrobust.errors import InputError

IMAGES = np.random.default_rng(0).random((3, 4, 4, 1), np.float32)


def network(activation: str | None, units: int = 3) -> keras.Model:
    keras.utils.set_random_seed(1)
    layers = keras.layers
    return keras.Sequential(
        [keras.Input((4, 4, 1)), layers.Flatten(), layers.Dense(units, activation=activation)]
    )


def linear(model: keras.Model) -> np.ndarray:
    kernel, bias = model.get_weights()
    return IMAGES.reshape(3, 16) @ kernel + bias


@pytest.mark.parametrize("activation", ["sigmoid", None])
def test_a_logit_for_each_label(activation: str | None) -> None:
    model = network(activation)
    found = tfrobust.as_labels(model)
    assert found is tfrobust.as_labels(model) and found is tfrobust.as_labels(found)
    assert (found.task, found.num_classes) == ("multi-label", 3)
    np.testing.assert_allclose(found(IMAGES), linear(model), atol=1e-6)
    assert found.form.activation == (activation or "linear")


def test_functions() -> None:
    model = network(None)
    kernel, bias = (tf.constant(one) for one in model.get_weights())

    def shares(images: tf.Tensor) -> tf.Tensor:
        return tf.sigmoid(tf.reshape(images, (-1, 16)) @ kernel + bias)

    found = tfrobust.as_labels(shares, output="sigmoid")
    np.testing.assert_allclose(found(IMAGES), linear(model), atol=1e-5)  # a sigmoid is inverted
    assert found.task == "multi-label"
    second = tfrobust.as_classifier(found, label=1)
    np.testing.assert_allclose(second(IMAGES)[:, 1], linear(model)[:, 1], atol=1e-5)
    assert second.task == "binary"


def test_one_label_after_the_other_is_what_each_label_is() -> None:
    model = network("sigmoid")
    seen = []
    for label, one in enumerate(one_by_one(tfrobust.as_labels(model))):
        assert one.name.endswith(f"label {label}") and one.task == "binary"
        np.testing.assert_array_equal(
            one(IMAGES), tfrobust.as_classifier(model, label=label)(IMAGES)
        )
        seen.append(one)
    assert len(seen) == 3 and len({id(one) for one in seen}) == 1


def test_logits_of_labels_are_never_taken_for_classes(tmp_path) -> None:
    """Also not those of the plain network that training leaves, read from a file."""
    plain = tfrobust.as_labels(network("sigmoid")).network
    plain.save(tmp_path / "plain.keras")
    for model in (plain, tfrobust.as_labels(plain), tfrobust.load(tmp_path / "plain.keras")):
        with pytest.raises(InputError, match=r"has 3 labels\. .*as_classifier\(model, label=0\)"):
            tfrobust.as_classifier(model)
        assert tfrobust.as_labels(model).num_classes == 3
        one = tfrobust.as_classifier(model, label=2)
        np.testing.assert_allclose(one(IMAGES)[:, 1], plain(IMAGES)[:, 2])


def test_labels_are_known_inside_of_another_network() -> None:
    plain = tfrobust.as_labels(network("sigmoid")).network
    images = keras.Input((4, 4, 1))
    logits = keras.layers.Identity()(plain(keras.layers.Identity()(images)))
    outer = keras.Model(images, logits)
    with pytest.raises(InputError, match="has 3 labels"):
        tfrobust.as_classifier(outer)
    np.testing.assert_array_equal(tfrobust.as_labels(outer)(IMAGES), plain(IMAGES))
    one = tfrobust.as_classifier(outer, label=2)
    np.testing.assert_allclose(one(IMAGES)[:, 1], plain(IMAGES)[:, 2])
    shares = keras.Model(images, keras.layers.Activation("sigmoid")(logits))
    np.testing.assert_allclose(tfrobust.as_labels(shares)(IMAGES), plain(IMAGES), atol=1e-6)


@pytest.mark.parametrize(
    ("activation", "units", "message"),
    [
        ("softmax", 3, "has 3 outputs of one softmax"),
        ("sigmoid", 1, "several labels that may hold together, but .* has one output"),
    ],
)
def test_refuses(activation: str, units: int, message: str) -> None:
    with pytest.raises(InputError, match=message):
        tfrobust.as_labels(network(activation, units))
