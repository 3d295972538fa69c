"""The export of a network of several labels, in all its forms."""

import json
import shutil
from pathlib import Path

import keras
import numpy as np
import onnxruntime
import pytest
import tensorflow as tf
from networks import of_labels

import tfrobust
from tfrobust.cli.explained import Images, about_label, probabilities
from tfrobust.core.classifier import Classifier
from tfrobust.core.door import as_whole
from tfrobust.datasets.pictures import encode_png
from tfrobust.exporting import forms, logit_parity
from tfrobust.exporting.saved_model import export

LABELS = ["top", "left", "middle"]
THRESHOLDS = (0.5, 0.3, 0.6)
TEMPERATURE = 2.5
PLANES = np.log(np.array(THRESHOLDS) / (1 - np.array(THRESHOLDS)))
IMAGES = np.random.default_rng(5).random((6, 6, 6, 1), np.float32)


@pytest.fixture(scope="module")
def network() -> keras.Model:
    return of_labels((6, 6, 1), seed=3)


@pytest.fixture(scope="module")
def labels(network) -> Classifier:
    return tfrobust.as_labels(network, thresholds=THRESHOLDS)


@pytest.fixture(scope="module")
def version(labels, made_once) -> Path:
    def write(folder: Path) -> None:
        export(
            labels,
            folder / "several",
            class_names=LABELS,
            reference_images=IMAGES,
            temperature=TEMPERATURE,
        )

    return made_once("several_labels", write) / "several" / "1"


@pytest.fixture(scope="module")
def served(version):
    return forms.saved_model(version)


def sigmoid(logits: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-logits))


def linear(network: keras.Model) -> tuple[np.ndarray, np.ndarray]:
    kernel, bias = network.get_weights()
    return IMAGES.reshape(6, 36) @ kernel + bias, np.linalg.norm(kernel, axis=0)


def test_probabilities_are_sigmoids_and_each_label_is_decided(network, served) -> None:
    logits, _ = linear(network)
    found = served["serving_default"]({"images": IMAGES})
    assert set(found) == {"logits", "probabilities", "predicted", "thresholds", "label_names"}
    assert [[name.decode() for name in names] for names in found["label_names"]] == [LABELS] * 6
    np.testing.assert_allclose(found["logits"], logits, atol=1e-5)
    np.testing.assert_allclose(found["probabilities"], sigmoid(logits / TEMPERATURE), atol=1e-6)
    np.testing.assert_array_equal(found["predicted"], logits > PLANES)
    assert found["predicted"].dtype == np.int32 and 0 < found["predicted"].mean() < 1
    # The probabilities are other ones, and so is what they are compared with: no decision changes.
    np.testing.assert_allclose(
        found["thresholds"], np.tile(sigmoid(PLANES / TEMPERATURE), (6, 1)), atol=1e-6
    )
    np.testing.assert_array_equal(found["predicted"], found["probabilities"] > found["thresholds"])


def test_files(network, served) -> None:
    pixels = np.rint(IMAGES * 255).astype(np.uint8)
    files = np.array([encode_png(image) for image in pixels], object)
    found = served["predict_bytes"]({"encoded": files})
    shares = network.predict(pixels / 255, verbose=0)
    tempered = sigmoid(np.log(shares / (1 - shares)) / TEMPERATURE)
    np.testing.assert_allclose(found["probabilities"], tempered, atol=1e-5)


def test_robustness_is_the_distance_to_the_labels_threshold(network, served) -> None:
    """Of a linear network it is known: how far the logit is away, by the weights' length."""
    logits, lengths = linear(network)
    asked = np.array([0, 1, 2, 1, -1, 0], np.int32)
    found = served["robustness"]({"images": IMAGES, "target": asked})
    label = np.where(asked < 0, logits.argmax(axis=1), asked)
    np.testing.assert_array_equal(found["target"], label)
    away = logits[np.arange(6), label] - PLANES[label]
    # The bisection at the end leaves up to .4 %.
    np.testing.assert_allclose(found["rmse"], np.abs(away) / lengths[label] / 6, rtol=5e-3)
    np.testing.assert_array_equal(found["class_id"], away > 0)
    np.testing.assert_array_equal(found["rival"], 1 - found["class_id"])


def test_explain_is_that_of_the_label_alone(network, labels, served) -> None:
    for label in range(3):
        inputs = {
            "images": IMAGES,
            "target": np.full(6, label, np.int32),
            "direction": np.full(6, 1, np.int32),
            "rho": np.full(6, 0.05, np.float32),
        }
        found = served["explain"](inputs)
        one = tfrobust.as_classifier(network, label=label).at_temperature(TEMPERATURE)
        alone = tfrobust.explain(one, IMAGES, 1, rho=0.05)
        np.testing.assert_allclose(found["explanation"], alone.explanation, atol=1e-4)
        np.testing.assert_allclose(found["confidence_after"], alone.confidence_after, atol=1e-4)
        np.testing.assert_array_equal(found["target"], inputs["target"])
        assert (found["confidence_after"] > found["confidence_before"]).all()
        # The label's own probability, wherever its threshold is, by every way to it.
        told = served["serving_default"]({"images": IMAGES})["probabilities"][:, label]
        np.testing.assert_allclose(found["confidence_before"], told, atol=1e-6)
        asked, *_ = about_label(
            labels.at_temperature(TEMPERATURE), Images([], [], IMAGES, None), LABELS, label
        )
        shown = tfrobust.explain(asked, IMAGES, 1, rho=0.05)
        np.testing.assert_allclose(shown.confidence_before, told, atol=1e-6)
        np.testing.assert_allclose(probabilities(asked, IMAGES[:1])[1], told[0], atol=1e-6)


def test_what_is_no_label_is_refused(served) -> None:
    for signature in ("robustness", "explain"):
        inputs = {"images": IMAGES[:1], "target": np.array([3], np.int32)}
        if signature == "explain":
            inputs |= {"direction": np.array([1], np.int32), "rho": np.array([0.1], np.float32)}
        with pytest.raises(tf.errors.InvalidArgumentError, match="expected target from -1 to 2"):
            served[signature](inputs)


def test_onnx(network, version) -> None:
    logits, _ = linear(network)
    running = onnxruntime.InferenceSession(str(version / "classifier.onnx"))
    names = [one.name for one in running.get_outputs()]
    found = dict(zip(names, running.run(None, {"images": IMAGES}), strict=True))
    assert names == ["logits", "probabilities", "predicted"]
    np.testing.assert_allclose(found["probabilities"], sigmoid(logits / TEMPERATURE), atol=1e-6)
    np.testing.assert_array_equal(found["predicted"], logits > PLANES)
    assert (version / "explainer.onnx").is_file()


def test_the_card_and_the_request_to_warm_up(version) -> None:
    card = json.loads((version / "model_card.json").read_text())
    assert (card["task"], card["temperature"]) == ("multi-label", TEMPERATURE)
    np.testing.assert_allclose(card["thresholds"], sigmoid(PLANES / TEMPERATURE))
    assert card["left_out"] == {} and card["signatures"]["robustness"]["inputs"].keys() == {
        "images",
        "target",
    }
    text = (version / "MODEL_CARD.md").read_text()
    assert "0 top (0.5), 1 left (0.416), 2 middle (0.54)" in text
    assert "divided by the temperature 2.5 before they become probabilities" in text
    assert "Every image gets one of the classes" not in text


@pytest.mark.parametrize("form", ["version", "keras", "saved_model", "onnx"])
def test_reading_back_knows_task_and_thresholds(network, version, tmp_path, form: str) -> None:
    path = version
    if form == "keras":
        path = version / "network.keras"
    elif form == "onnx":
        path = version / "classifier.onnx"
    elif form == "saved_model":
        path = Path(shutil.copytree(version, tmp_path / "1"))
        (path / "network.keras").unlink()
    loaded = tfrobust.load(path)
    found = as_whole(loaded)
    assert found.task == "multi-label" and (found.has_gradient or form == "onnx")
    np.testing.assert_allclose(found.thresholds, THRESHOLDS, atol=1e-7)
    np.testing.assert_allclose(found(IMAGES), linear(network)[0], atol=1e-5)
    with pytest.raises(tfrobust.InputError, match="has 3 labels"):
        tfrobust.as_classifier(loaded)
    two = tfrobust.as_classifier(loaded, label=1)(IMAGES).numpy()
    np.testing.assert_array_equal(two.argmax(axis=1), linear(network)[0][:, 1] > PLANES[1])


def test_contradictions_are_found(served) -> None:
    good = served["serving_default"]({"images": IMAGES})
    assert not list(logit_parity.contradictions(good, LABELS, THRESHOLDS, TEMPERATURE))
    for name, bad in (
        ("probabilities", good["probabilities"] + 1e-3),
        ("predicted", 1 - good["predicted"]),
        ("thresholds", good["thresholds"] + 1e-3),
        ("label_names", good["label_names"][:, ::-1]),
    ):
        (fault,) = logit_parity.contradictions({**good, name: bad}, LABELS, THRESHOLDS, TEMPERATURE)
        assert name in fault
