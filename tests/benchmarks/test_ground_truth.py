"""The table of ground truth in the documentation is that of the results, and nothing is lost."""

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfrobust import as_classifier, datasets, explanations, models

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "benchmarks" / "results"


def test_the_documentation_has_the_tables_of_the_results(
    benchmark: Callable[[str], ModuleType],
) -> None:
    tables, dissection = benchmark("ground_truth_tables"), benchmark("dissection")
    made = [
        tables.section(data) for data, name in tables.FILES.items() if (RESULTS / name).exists()
    ]
    if dissection.OUTPUT.exists():
        made.append(dissection.section(json.loads(dissection.OUTPUT.read_text())))
    page = (ROOT / "docs" / "figures" / "explanations.md").read_text()
    assert made and [section for section in made if section not in page] == []


def test_what_is_found_follows_from_the_figures(benchmark: Callable[[str], ModuleType]) -> None:
    findings = benchmark("ground_truth_findings")

    def value(mean: float) -> dict[str, object]:
        return {"mean": mean, "interval": [mean - 0.1, mean + 0.1]}

    def told(pointing: float, deletion: float, correlation: float) -> dict[str, object]:
        return {
            "found": {"pointing": value(pointing)},
            "mark": {"difference": {"mean": deletion, "interval": [deletion - 0.3, 0.9]}},
            "fidelity": {"deletion": value(deletion)},
            "attacked": {name: value(correlation) for name in ("sensitivity", "robustness")},
        }

    results = {
        "methods": {
            findings.OURS: {"robust": told(0.9, 0.5, 0.6), "plain": told(0.3, 0.45, 0.5)},
            "Occlusion": {"robust": told(0.4, 0.1, 0.4), "plain": told(0.4, 0.1, 0.4)},
        }
    }
    said = findings.findings(results)
    # Deletion is better where it is small; its intervals overlap.
    assert "with intervals apart, by pointing 0.90 for 0.30; by what reveals the label" in said
    assert "sensitivity 0.60 for 0.50, robustness 0.60 for 0.50 and deletion 0.50 for" in said
    assert "first of all methods by pointing, what reveals the label, sensitivity and" in said
    assert "in their lower half there by deletion (2 of 2; best: Occlusion)." in said
    assert "of the plain network, with intervals apart, by none of the measures." in said
    assert "on the robust one by Occlusion, on the plain one by Occlusion." in said
    assert f"on the robust network {findings.OURS}; on the plain one none." in said


@pytest.fixture
def planted() -> datasets.Planted:
    rng = np.random.default_rng(0)
    images = rng.uniform(size=(6, 16, 16, 1)).astype(np.float32)
    return datasets.plant(images, agreement=1.0)


@pytest.fixture
def network() -> keras.Model:
    keras.utils.set_random_seed(0)
    return models.resnet_cifar(
        depth=8, num_classes=3, input_shape=(16, 16, 1), width=4, stem_stride=2, attention=True
    )


@pytest.mark.slow
def test_every_part_fills_its_columns(
    benchmark: Callable[[str], ModuleType],
    network: keras.Model,
    planted: datasets.Planted,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    parts, tables = benchmark("ground_truth_parts"), benchmark("ground_truth_tables")
    monkeypatch.setattr(parts, "STEPS", 2)
    classifier = as_classifier(network)
    measured = {}
    tf.config.run_functions_eagerly(True)
    try:
        for method in (explanations.Adversarial(rho=0.1), explanations.Attention()):
            told = {
                "found": parts.found(method, classifier, planted),
                "mark": parts.revealed(method, classifier, classifier, planted),
                "fidelity": parts.faithful(method, classifier, planted),
                "attacked": parts.attacked(method, classifier, planted),
            }
            measured[method.name] = {"robust": told, "plain": told}
    finally:
        tf.config.run_functions_eagerly(False)
    results = {"methods": measured}
    made = tables.tables(results)
    assert len(made) == len(tables.TABLES) + 1 and "– /" not in "".join(made)
    # The same network twice: nothing is gained and nothing lost.
    assert "with intervals apart, by none of the measures; by" in benchmark(
        "ground_truth_findings"
    ).findings(results)


@pytest.mark.slow
def test_a_dissection_has_a_row_for_each_network(
    benchmark: Callable[[str], ModuleType], network: keras.Model, planted: datasets.Planted
) -> None:
    dissection = benchmark("dissection")
    concepts = dissection.planted_concepts(planted)
    assert list(concepts) == [*planted.class_names, "label A", "label H", "label L"]
    told = dissection.measured(
        network, planted.images, concepts, 0.1, (planted.images, planted.labels)
    )
    # A ResNet of width 4 that is dissected behind its three sizes.
    assert told["units"] == 4 + 8 + 16 and told["concepts"].keys() == concepts.keys()
    found = sum(row["detectors"] for row in told["concepts"].values())
    assert found > 0
    shown = dissection.section({"networks": {"tiny": json.loads(json.dumps(told))}})
    assert f"| tiny | {told['accuracy']:.2f} |" in shown and "of 28 units" in shown


def test_results_that_there_are_need_no_measurement(
    benchmark: Callable[[str], ModuleType], tmp_path: Path
) -> None:
    kept = benchmark("ground_truth").Kept(tmp_path / "measured")
    kept.make("robust, Grad-CAM, found", lambda: {"pointing": 1})
    kept.make("robust, Grad-CAM, found", lambda: pytest.fail("measured again"))
    assert kept.get("robust, Grad-CAM, found")["pointing"] == 1
    assert kept.get("plain, Grad-CAM, found") is None


def test_networks_read_nothing_but_the_lesion_or_nothing_but_the_label() -> None:
    told = json.loads((RESULTS / "ground_truth.json").read_text())
    for name, facts in told["networks"].items():
        if "marked" in name:
            assert facts["label_right"] > 0.95 and facts["label_wrong"] < 0.05
        else:
            assert facts["accuracy"] > 0.8
        # Three classes: without a lesion, a network that reads lesions guesses.
        assert abs(facts["without_lesions"] - 1 / 3) < 0.1
