import dataclasses
import json
import shutil

import numpy as np
import onnx
import onnxruntime
import pytest
from marks import quick
from onnx import numpy_helper
from scipy.special import softmax

from tfrobust.exporting import (
    card,
    explanation_parity,
    forms,
    logit_parity,
    parity,
    saved_model,
)
from tfrobust.exporting.parity import ParityError, check

CLASSES = ["cat", "dog", "ship"]


@pytest.fixture
def copy(version, tmp_path):
    return shutil.copytree(version, tmp_path / "1")


def test_the_card_holds_the_gates_figures(version):
    figures = json.loads((version / "model_card.json").read_text())["parity"]
    assert set(figures) == {field.name for field in dataclasses.fields(parity.Parity)}
    assert figures["images"] == 5 and not figures["random_images"]
    assert figures["tolerance"] == 1e-5 * max(1, figures["largest_logit"])
    for form in ("keras_file", "saved_model", "session", "onnx"):
        assert figures[form] <= figures["tolerance"]
    assert 0.999 < figures["explain_rmse"] <= 1.001
    assert figures["explain_saved_model"] < 0.01 and figures["explain_session"] < 0.01


def test_other_weights_in_the_onnx_file_are_caught(network, copy, images):
    model = onnx.load(copy / "classifier.onnx")
    weight = next(entry for entry in model.graph.initializer if len(entry.dims) == 4)
    values = numpy_helper.to_array(weight) * np.float32(1.001)
    weight.CopyFrom(numpy_helper.from_array(values, weight.name))
    onnx.save(model, copy / "classifier.onnx")
    with pytest.raises(ParityError, match="onnx: logits of 1 images") as caught:
        check(network, copy, class_names=CLASSES, images=images, temperature=1.7)
    assert caught.value.figures.onnx > caught.value.figures.tolerance
    assert caught.value.figures.session <= caught.value.figures.tolerance
    assert list(caught.value.faults) == ["classifier.onnx"]


def test_what_does_not_follow_from_the_logits_is_caught():
    logits = np.array([[0.0, 2.0, 1.0]], np.float32)
    good = {
        "logits": logits,
        "probabilities": np.exp(logits) / np.exp(logits).sum(),
        "class_id": np.array([1], np.int32),
        "class_name": np.array([b"dog"], object),
    }
    assert not list(logit_parity.contradictions(good, CLASSES))
    (fault,) = logit_parity.contradictions(good, CLASSES, temperature=1.7)
    assert fault.startswith("probabilities")
    for name, bad in {
        "probabilities": logits,
        "class_id": np.array([2], np.int32),
        "class_name": np.array([b"cat"], object),
    }.items():
        (fault,) = logit_parity.contradictions({**good, name: bad}, CLASSES)
        assert fault.startswith(name)


@pytest.mark.parametrize("fault", quick(["nan", "far"], "far"))
def test_a_bad_explanation_is_caught(network, copy, images, monkeypatch, fault):
    real = forms.saved_model

    def broken(folder):
        signatures = real(folder)
        sound = signatures["explain"]

        def explain(inputs):
            outputs = sound(inputs)
            worse = {"nan": outputs["rmse"] * np.nan, "far": outputs["rmse"] * 1.1}[fault]
            return {**outputs, "rmse": worse}

        return {**signatures, "explain": explain}

    monkeypatch.setattr(forms, "saved_model", broken)
    with pytest.raises(ParityError, match="explain in saved_model: RMSE"):
        check(network, copy, class_names=CLASSES, images=images, temperature=1.7)


@pytest.mark.slow
def test_keras_compiles_a_large_network_only_where_forms_differ(network, copy, images, monkeypatch):
    compiled = []
    real = explanation_parity.explain

    def explain(*arguments, **options):
        compiled.append(True)
        return real(*arguments, **options)

    monkeypatch.setattr(explanation_parity, "explain", explain)
    monkeypatch.setattr(explanation_parity, "LARGE", 0)
    figures = check(network, copy, class_names=CLASSES, images=images, temperature=1.7)
    agree = max(figures.explain_saved_model, figures.explain_session, figures.explain_onnx) <= 1e-4
    assert bool(compiled) is not agree
    assert (figures.explain_keras is None) is agree
    assert 0 < figures.gradient_onnx <= 1e-3
    monkeypatch.setattr(explanation_parity, "WALK_TOLERANCE", -1.0)
    monkeypatch.setattr(explanation_parity, "STABLE", np.inf)
    with pytest.raises(ParityError, match=r"explain in session: RMSE of .* from Keras'") as caught:
        check(network, copy, class_names=CLASSES, images=images, temperature=1.7)
    assert compiled and caught.value.figures.explain_keras is not None


@pytest.mark.slow
def test_nan_logits_do_not_pass(network, copy, images):
    bias = network.variables[-1]
    before = bias.numpy()
    bias.assign(before * np.nan)
    try:
        with pytest.raises(ParityError, match="logits of 3 images are nan"):
            check(network, copy, class_names=CLASSES, images=images, temperature=1.7)
    finally:
        bias.assign(before)


def test_a_damaged_keras_file_is_caught(network, copy, images):
    (copy / "network.keras").write_bytes(b"PK")
    with pytest.raises(ParityError, match="Keras file cannot be read back"):
        check(network, copy, class_names=CLASSES, images=images, temperature=1.7)


def test_onnx_file(network, version, images):
    session = onnxruntime.InferenceSession(str(version / "classifier.onnx"))
    told = session.get_modelmeta().custom_metadata_map
    assert json.loads(told["class_names"]) == CLASSES
    assert json.loads(told["input"])["shape"] == [None, 12, 10, 2]
    assert [entry.name for entry in session.get_inputs()] == ["images"]
    assert session.get_inputs()[0].shape[1:] == [12, 10, 2]
    names = ["logits", "probabilities", "class_id"]
    assert [entry.name for entry in session.get_outputs()] == names
    for count in (1, 4):
        logits, probabilities, class_id = session.run(names, {"images": images[:count]})
        np.testing.assert_allclose(logits, network(images[:count]), atol=1e-5)
        np.testing.assert_allclose(probabilities, softmax(logits / 1.7, axis=-1), atol=1e-6)
        np.testing.assert_array_equal(class_id, logits.argmax(-1))
    opsets = {
        entry.domain: entry.version for entry in onnx.load(version / "classifier.onnx").opset_import
    }
    assert opsets[""] == 17


def test_the_card(version):
    told = json.loads((version / "model_card.json").read_text())
    assert told["version"] == 1 and told["classes"] == CLASSES
    assert told["input"]["shape"] == [None, 12, 10, 2]
    assert told["temperature"] == 1.7
    assert told["recipe"]["learning_rate_drops"] == [0.7]
    assert told["figures"]["attack ARA"]["low"] == 0.01
    assert set(told["signatures"]) == {"serving_default", "explain", "robustness"}
    assert told["signatures"]["serving_default"]["outputs"]["class_name"] == {
        "dtype": "string",
        "shape": [None],
    }
    assert told["file_bytes"]["network.keras"] == (version / "network.keras").stat().st_size
    assert told["packages"]["tensorflow"]
    text = (version / "MODEL_CARD.md").read_text()
    assert text.startswith("# tiny, version 1\n")
    for part in (
        "Made-up images.",
        "low: 0.01",
        "PGD\\|L2",
        "1 dog",
        "temperature 1.7 before",
        "(B, 12, 10, 2)",
    ):
        assert part in text


def test_a_card_without_figures_says_so(version):
    told = json.loads((version / "model_card.json").read_text())
    assert "Not measured." in card.render({**told, "figures": card.NOT_MEASURED})


def test_no_name_becomes_markup(version):
    told = json.loads((version / "model_card.json").read_text())
    evil = "<img src=x onerror=alert(1)>[a](javascript:b)`*|\n# c"
    text = card.render(
        {
            **told,
            "name": evil,
            "classes": [evil],
            "provenance": evil,
            "recipe": {evil: {evil: [evil]}},
            "figures": {evil: evil},
            "packages": {evil: evil},
        }
    )
    assert text.count("alert(1)&gt;[a\\](javascript:b)\\`\\*\\| # c") == 10
    assert "<img" not in text and "[a]" not in text and "\n# c" not in text


def test_figures_become_plain_json():
    figures = {"a": np.float32(0.5), "b": float("inf"), "c": np.arange(2), 1: (True, None)}
    assert card.plain(figures) == {"a": 0.5, "b": "inf", "c": [0, 1], "1": [True, None]}
    with pytest.raises(TypeError, match="object"):
        card.plain({"a": object()})


def test_every_signature_has_a_batch_dimension(network):
    for function in saved_model.signatures_of(network, CLASSES).values():
        concrete = function.get_concrete_function()
        specs = [*concrete.structured_input_signature[0], *concrete.structured_outputs.values()]
        assert all(spec.shape[0] is None for spec in specs)
        assert b"_XlaMustCompile" not in concrete.graph.as_graph_def().SerializeToString()
