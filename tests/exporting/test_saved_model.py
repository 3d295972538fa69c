import json
import os

import keras
import numpy as np
import onnxruntime
import pytest
import tensorflow as tf
from marks import quick
from networks import in_policy
from picture_files import png, saved
from PIL import Image

import tfrobust
from tfrobust.attacks import LinearizedMargin
from tfrobust.core import version_folders as versions
from tfrobust.core.loading import reading
from tfrobust.datasets import pictures
from tfrobust.errors import InputError
from tfrobust.exporting import onnx, parity, saved_model
from tfrobust.exporting.parity import ParityError
from tfrobust.exporting.saved_model import export

CLASSES = ["cat", "dog", "ship"]


def served(version, name, **inputs):
    loaded = tf.saved_model.load(str(version))
    return loaded.signatures[name](**{key: tf.constant(value) for key, value in inputs.items()})


def explain_inputs(images, target, direction, rho):
    count = len(images)
    return {
        "images": images,
        "target": np.full(count, target, np.int32),
        "direction": np.full(count, direction, np.int32),
        "rho": np.full(count, rho, np.float32),
    }


def test_a_version_holds_everything(version):
    assert version.name == "1"
    assert sorted(entry.name for entry in version.iterdir()) == [
        "MODEL_CARD.md",
        "assets",
        "assets.extra",
        "classifier.onnx",
        "explainer.onnx",
        "fingerprint.pb",
        "model_card.json",
        "network.keras",
        "saved_model.pb",
        "variables",
    ]
    assert [entry.name for entry in version.parent.iterdir()] == ["1"]


@pytest.mark.parametrize("count", [1, 4])
def test_serving_default(network, version, images, count):
    outputs = served(version, "serving_default", images=images[:count])
    logits = network(images[:count]).numpy()
    assert len(set(logits.argmax(-1))) > 1 or count == 1
    np.testing.assert_allclose(outputs["logits"], logits, atol=1e-5)
    np.testing.assert_allclose(outputs["probabilities"], tf.nn.softmax(logits / 1.7), atol=1e-6)
    assert outputs["class_id"].dtype == tf.int32
    np.testing.assert_array_equal(outputs["class_id"], logits.argmax(-1))
    names = [name.decode() for name in outputs["class_name"].numpy()]
    assert names == [CLASSES[number] for number in logits.argmax(-1)]


@pytest.mark.parametrize("direction", [1, -1])
def test_explain(network, version, images, direction):
    outputs = served(version, "explain", **explain_inputs(images, 2, direction, 0.05))
    expected = tfrobust.explain(network, images, 2, rho=0.05, direction=direction)
    np.testing.assert_allclose(outputs["explanation"], expected.explanation, atol=1e-3)
    np.testing.assert_allclose(outputs["difference"], expected.difference, atol=1e-3)
    np.testing.assert_allclose(outputs["rmse"], expected.rmse, atol=1e-4)
    np.testing.assert_array_equal(outputs["target"], [2] * 5)
    assert np.all(outputs["rmse"] < 0.0525)
    # One picture has one confidence, whoever tells it: the probability that is served.
    shares = served(version, "serving_default", images=images)["probabilities"][:, 2]
    np.testing.assert_allclose(outputs["confidence_before"], shares, atol=1e-6)
    gain = direction * (outputs["confidence_after"] - outputs["confidence_before"])
    assert np.all(gain > 0)
    # The gradient of log p where the walk ends.
    ends = tf.constant(expected.explanation)
    with tf.GradientTape() as tape:
        tape.watch(ends)
        sure = tf.nn.log_softmax(network(ends))[:, 2]
    np.testing.assert_allclose(outputs["gradient"], tape.gradient(sure, ends), atol=1e-3)


def test_robustness_is_how_far_another_decision_is(network, version, images):
    outputs = {
        name: value.numpy() for name, value in served(version, "robustness", images=images).items()
    }
    predicted = network(images).numpy().argmax(-1)
    np.testing.assert_array_equal(outputs["class_id"], predicted)
    assert outputs["found"].all() and (outputs["rival"] != predicted).all()
    # This attack linearises, too, but searches in its own way: two classes for eight steps.
    found = LinearizedMargin(steps=24, rivals=2, batch_size=5)(network, images, predicted)
    np.testing.assert_allclose(outputs["rmse"], found.rmse, rtol=0.05)
    alone = served(version, "robustness", images=images[3:4])
    np.testing.assert_allclose(alone["rmse"], outputs["rmse"][3:4], rtol=0.01)


def test_explain_takes_each_images_own_wishes(network, version, images):
    inputs = explain_inputs(images, -1, 1, 0.1)
    inputs["rho"] = np.array([0.01, 0.02, 0.03, 0.04, 0.05], np.float32)
    inputs["direction"][1] = -1
    inputs["target"][2] = 0
    outputs = served(version, "explain", **inputs)
    target = network(images).numpy().argmax(-1)
    target[2] = 0
    np.testing.assert_array_equal(outputs["target"], target)
    assert np.all(outputs["rmse"] <= 1.001 * inputs["rho"])
    alone = served(version, "explain", **{key: value[1:2] for key, value in inputs.items()})
    np.testing.assert_allclose(outputs["explanation"][1:2], alone["explanation"], atol=1e-3)


def test_the_weights_are_stored_once(network, version):
    data = version / "variables" / "variables.data-00000-of-00001"
    weights = sum(variable.numpy().nbytes for variable in network.variables)
    assert weights <= data.stat().st_size < 1.5 * weights + 4096


def test_a_loaded_model_can_be_differentiated(network, version, images):
    loaded = tf.saved_model.load(str(version))

    def gradient(model):
        batch = tf.constant(images)
        with tf.GradientTape() as tape:
            tape.watch(batch)
            total = tf.reduce_sum(model(batch)[:, 1])
        return tape.gradient(total, batch).numpy()

    ours = gradient(network)
    assert np.abs(ours).max() > 1e-4
    theirs = gradient(lambda batch: loaded.signatures["serving_default"](images=batch)["logits"])
    np.testing.assert_allclose(theirs, ours, atol=1e-6)


def small(outputs=3, activation=None, shape=(4, 4, 1)):
    inputs = keras.Input(shape)
    features = keras.layers.GlobalAveragePooling2D()(inputs)
    return keras.Model(inputs, keras.layers.Dense(outputs, activation=activation)(features))


@pytest.fixture
def without_gate(monkeypatch):
    """Exports without the gate and what follows from it, which have tests of their own."""
    monkeypatch.setattr(parity, "check", lambda *_, **__: None)
    monkeypatch.setattr(saved_model.card, "build", lambda **_: {"name": "x"})
    monkeypatch.setattr(saved_model.card, "write", lambda *_, **__: None)
    monkeypatch.setattr(saved_model.extras, "write", lambda *_, **__: None)


def test_versions_go_on(tmp_path, without_gate):
    for name in ("7", "notes", "9.tmp", "x.tmp"):
        (tmp_path / name).mkdir()
    assert export(small(), tmp_path, class_names=CLASSES, forms=[]) == tmp_path / "8"
    # The folder of a killed export is removed. Folders of others are not.
    left = sorted(entry.name for entry in tmp_path.iterdir())
    assert left == ["7", "8", "notes", "x.tmp"]


def test_two_exports_at_once_take_two_versions(tmp_path):
    with versions.staging(tmp_path) as first, versions.staging(tmp_path) as second:
        assert {first.name, second.name} == {"1.tmp", "2.tmp"}
        (second / "file").touch()
        (first / "file").touch()
        assert versions.rename(second, 1)
        assert not versions.rename(first, 1)
        assert versions.rename(first, 2)
    assert versions.numbers(tmp_path) == [1, 2]


@pytest.mark.parametrize(
    ("stage", "error"),
    [
        ((onnx, "write_explainer"), KeyboardInterrupt),
        pytest.param(
            (parity, "check"),
            ParityError({"saved_model": ["logits differ"]}),
            marks=pytest.mark.slow,
        ),
    ],
)
def test_nothing_is_left_after_an_interruption(tmp_path, monkeypatch, stage, error):
    def interrupted(*_, **__):
        raise error

    monkeypatch.setattr(*stage, interrupted)
    with pytest.raises((KeyboardInterrupt, ParityError)):
        export(small(), tmp_path / "new" / "tiny", class_names=CLASSES)
    assert not list(tmp_path.iterdir())


def test_the_name_is_the_folders(version):
    card = json.loads((version / "model_card.json").read_text())
    assert card["name"] == "tiny"


@pytest.mark.parametrize(
    ("model", "arguments", "message"),
    [
        ("not a network", {}, "expected a network: a Keras model"),
        (lambda images: images[:, 0, :3, 0], {}, "expected a Keras network to export"),
        (keras.Sequential([keras.layers.Dense(3)]), {}, "built on one input"),
        (small(shape=(None, None, 1)), {}, r"images of one size, but .* takes .*None, 1"),
        (small(outputs=1), {}, "expected 2 class names"),
        (small(), {"class_names": ["one"]}, "expected 3 class names.*got 1"),
        (small(), {"class_names": "abc"}, "as a list"),
        (small(), {"reference_images": np.zeros((2, 5, 4, 1))}, "images of shape"),
        (small(), {"reference_images": np.full((2, 4, 4, 1), 255)}, "divide 8-bit"),
        (small(), {"figures": {"ARA": object()}}, "JSON"),
        (small(), {"forms": ["onnx"]}, "out of keras, classifier, explainer, got .'onnx'"),
        (small(), {"forms": "classifier"}, "forms as a list"),
        (small(), {"temperature": 0}, "a temperature above 0"),
        (small(), {"temperature": np.nan}, "a temperature above 0"),
    ],
)
def test_bad_arguments_are_refused_before_any_work(tmp_path, model, arguments, message):
    with pytest.raises(InputError, match=message):
        export(model, tmp_path / "x", **{"class_names": CLASSES, **arguments})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("where", ["file/below", "gs://bucket/model"])
def test_folders_that_cannot_be_written_are_refused(tmp_path, monkeypatch, where):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="expected a folder"):
        export(small(), where, class_names=CLASSES)
    assert os.listdir(tmp_path) == ["file"]


def test_a_softmax_is_left_out_of_what_is_exported(tmp_path, without_gate):
    network = small(activation="softmax")
    version = export(network, tmp_path, class_names=CLASSES, forms=[])
    images = np.random.default_rng(0).random((3, 4, 4, 1), np.float32)
    outputs = served(version, "serving_default", images=images)
    assert not np.allclose(outputs["logits"].numpy().sum(axis=-1), 1)
    np.testing.assert_allclose(outputs["probabilities"], network(images), atol=1e-6)


class Shifted(keras.layers.Layer):
    """A layer of one's own, which is not registered with Keras."""

    def call(self, inputs):
        return inputs + 0.25


@pytest.mark.slow
def test_what_cannot_be_made_is_left_out_with_the_reason(tmp_path):
    inputs = keras.Input((4, 4, 1))
    rows = keras.layers.TimeDistributed(keras.layers.Dense(2), name="rows")
    features = rows(Shifted()(inputs))
    network = keras.Model(inputs, keras.layers.Dense(3)(keras.layers.Flatten()(features)))
    with pytest.warns(UserWarning, match="is left out") as warned:
        version = export(network, tmp_path, class_names=CLASSES)
    told = json.loads((version / "model_card.json").read_text())
    assert set(told["left_out"]) == {"network.keras", "explainer.onnx"}
    assert "cannot be read back" in told["left_out"]["network.keras"]
    assert "rows: StridedSliceGrad" in told["left_out"]["explainer.onnx"]
    assert {str(one.message) for one in warned if "left out" in str(one.message)} == {
        f"{file} is left out: {reason}" for file, reason in told["left_out"].items()
    }
    for file in told["left_out"]:
        assert not (version / file).exists()
        assert f"- `{file}`: " in (version / "MODEL_CARD.md").read_text()
    assert (version / "classifier.onnx").exists() and told["parity"]["gradient_onnx"] == 0
    # What is there is read in place of the Keras file.
    images = np.random.default_rng(0).random((3, 4, 4, 1), np.float32)
    again = tfrobust.load(version)
    np.testing.assert_allclose(again(images), network(images), atol=1e-5)


@pytest.mark.slow
def test_an_onnx_file_that_answers_otherwise_is_left_out(tmp_path, monkeypatch):
    def write_another(_, path, **told):
        real(small(), path, **told)

    real = onnx.write_classifier
    monkeypatch.setattr(onnx, "write_classifier", write_another)
    with pytest.warns(UserWarning, match=r"classifier.onnx is left out: onnx: logits of 1 images"):
        version = export(small(), tmp_path, class_names=CLASSES, forms=["classifier"])
    told = json.loads((version / "model_card.json").read_text())["left_out"]
    assert told["explainer.onnx"] == told["network.keras"] == "not asked for"
    assert not list(version.glob("*.onnx"))


@pytest.mark.parametrize("policy", quick(["mixed_bfloat16", "mixed_float16"], "mixed_bfloat16"))
def test_half_precision_is_exported_in_float32(tmp_path, without_gate, policy):
    network = in_policy(policy, small)
    full = small()
    full.set_weights(network.get_weights())
    version = export(network, tmp_path, class_names=CLASSES, forms=["classifier"])
    images = np.random.default_rng(0).random((3, 4, 4, 1), np.float32)
    running = onnxruntime.InferenceSession(str(version / "classifier.onnx"))
    (logits,) = running.run(["logits"], {"images": images})
    for answer in (logits, served(version, "serving_default", images=images)["logits"]):
        np.testing.assert_allclose(answer, full(images), atol=1e-6)
        assert np.abs(answer - np.asarray(network(images), np.float32)).max() > 1e-5


@pytest.mark.slow
def test_a_network_that_xla_does_not_know_is_exported(tmp_path):
    inputs = keras.Input((4, 4, 1))
    features = keras.layers.Resizing(5, 5, interpolation="bicubic")(inputs)
    network = keras.Model(inputs, keras.layers.Dense(3)(keras.layers.Flatten()(features)))
    version = export(network, tmp_path, class_names=CLASSES, forms=["keras"])
    told = json.loads((version / "model_card.json").read_text())["parity"]
    assert told["explain_keras"] == "inf" and not told["explain_stable"]
    assert told["gradient_saved_model"] <= 1e-3


@pytest.mark.slow
def test_a_network_of_any_size_is_exported_at_the_size_that_is_given_to_it(tmp_path):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((None, None, 1))
    features = keras.layers.Conv2D(4, 3, strides=2, padding="same", activation="relu")(inputs)
    pooled = keras.layers.GlobalAveragePooling2D()(features)
    free = keras.Model(inputs, keras.layers.Dense(3)(pooled))
    with pytest.raises(InputError, match=r"images := keras.Input\(\(224, 224, 3\)\), network"):
        export(free, tmp_path, class_names=CLASSES)
    # The message's own way, at another size.
    fixed = keras.Model(images := keras.Input((6, 5, 1)), free(images))
    version = export(fixed, tmp_path, class_names=CLASSES, forms=["keras", "classifier"])
    told = json.loads((version / "model_card.json").read_text())
    assert told["left_out"] == {"explainer.onnx": "not asked for"}
    assert told["input"]["shape"] == [None, 6, 5, 1]
    pixels = np.random.default_rng(0).random((3, 6, 5, 1), np.float32)
    again = tfrobust.load(version)
    np.testing.assert_allclose(again(pixels), free(pixels), atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("bits", [12, 16])
def test_files_of_16_bits_are_read_as_the_training_read_them(tmp_path, bits):
    network = small()
    version = export(network, tmp_path, class_names=CLASSES, forms=[], bits=bits)
    assert reading(version) == {"bits": bits, "fit": "crop"}
    assert f"of 16-bit samples {bits} bits count" in (version / "MODEL_CARD.md").read_text()
    samples = np.random.default_rng(0).integers(0, 2**bits, (4, 4))
    grey = (samples >> bits - 8).astype(np.uint8)
    # Files of 8 bits are read as ever.
    files = [png(samples, 16, 0), png(grey, 8, 0), saved(Image.fromarray(grey), "JPEG")]
    pixels = np.stack([pictures.decode(file, 1, bits=bits) for file in files])
    assert pixels[0].std() > 30
    logits = np.asarray(network(pixels.astype(np.float32) / 255))
    answers = served(version, "predict_bytes", encoded=np.array(files, object))
    np.testing.assert_allclose(answers["logits"], logits, atol=1e-5)
    with parity.forms.session(version) as session:
        found = session["predict_bytes"]({"encoded": np.array(files, object)})
    np.testing.assert_allclose(found["logits"], logits, atol=1e-5)
