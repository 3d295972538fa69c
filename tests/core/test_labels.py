"""Networks of labels that may hold together, at the door."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfrobust
from tfrobust.core.door import as_whole
from tfrobust.core.one_label import label_of_each, one_label
from tfrobust.core.opaque import Opaque
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


def test_one_label_at_a_time_is_what_each_label_is() -> None:
    model = network("sigmoid")
    several = tfrobust.as_labels(model, thresholds=(0.5, 0.2, 0.9))
    one = one_label(several)
    assert one is one_label(several) and one.task == "binary"
    for label in (2, 0, 1):
        with one.about(label):
            alone = tfrobust.as_classifier(several, label=label)
            np.testing.assert_array_equal(one(IMAGES), alone(IMAGES))
            with one.about(0):  # an evaluation within another
                pass
            np.testing.assert_array_equal(one(IMAGES), alone(IMAGES))


def test_another_label_for_each_image() -> None:
    several = tfrobust.as_labels(network("sigmoid"))
    two = label_of_each(several, tf.constant([2, 0, 1]), tf.constant([0.0, 1.0, 2.0]))
    values = two(tf.constant(IMAGES)).numpy()
    np.testing.assert_array_equal(values[:, 0], [0, 1, 2])
    np.testing.assert_array_equal(values[:, 1], several(IMAGES).numpy()[range(3), [2, 0, 1]])


@pytest.mark.parametrize("bare", [False, True])
def test_thresholds_are_kept(tmp_path, bare: bool) -> None:
    """The label is the likelier of the two classes just where its sigmoid is above them."""
    model = network("sigmoid")
    asked, thresholds = (lambda images: model(images)) if bare else model, (0.3, 0.6, 0.45)
    found = tfrobust.as_labels(asked, output="sigmoid", thresholds=thresholds)
    assert found.thresholds == thresholds and tfrobust.as_labels(found).thresholds == thresholds
    assert tfrobust.as_labels(asked, output="sigmoid").thresholds in (None, (0.5, 0.5, 0.5), ())
    shares = model(IMAGES).numpy()
    for label, threshold in enumerate(thresholds):
        two = tfrobust.as_classifier(found, label=label)(IMAGES).numpy()
        np.testing.assert_array_equal(two.argmax(axis=1), shares[:, label] > threshold)
    others = tfrobust.as_labels(found, thresholds=(0.1, 0.2, 0.3))
    assert others.thresholds == (0.1, 0.2, 0.3) and found.thresholds == thresholds
    np.testing.assert_array_equal(others(IMAGES), found(IMAGES))
    if not bare:
        found.network.save(tmp_path / "kept.keras")
        again = as_whole(tfrobust.load(tmp_path / "kept.keras"))
        assert (again.task, again.thresholds) == ("multi-label", thresholds)


def test_as_a_whole() -> None:
    assert as_whole(network("sigmoid")).task == "multi-label"
    assert as_whole(network("softmax")).task == "multi-class"
    assert as_whole(network("sigmoid", 1)).task == "binary"
    assert as_whole(network("softmax")).thresholds is None
    for units, task in ((3, "multi-label"), (1, "binary")):  # it answers, and tells no more
        model = network("sigmoid", units)
        opaque = Opaque(model.predict_on_batch, input_shape=(None, 4, 4, 1), output="sigmoid")
        assert as_whole(opaque).task == task


@pytest.mark.parametrize("thresholds", [(0.5, 0.5), (0.5, 0.5, 1.0), (0, 0.5, 0.5), 0.5])
def test_refuses_thresholds(thresholds) -> None:
    with pytest.raises(InputError, match=r"thresholds as .* between 0 and 1, one for each label"):
        tfrobust.as_labels(network("sigmoid"), thresholds=thresholds)


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
    with pytest.raises(InputError, match=message):
        tfrobust.as_labels(tfrobust.as_classifier(network(activation, units)))
