"""A run whose network is certified, from its recipe to its card."""

import json
from pathlib import Path

import pytest

from tfrobust.core.loading import load
from tfrobust.models import Orthogonal
from tfrobust.robustness import AraReport
from tfrobust.runs import stages
from tfrobust.runs.recipes import fashion_mnist_lipschitz


@pytest.mark.slow
def test_the_report_and_the_card_know_the_area_from_both_sides(tmp_path: Path) -> None:
    config = fashion_mnist_lipschitz().replace({
        "network.width": 4,
        "training.max_steps": 3,
        "training.batch_size": 20,
        "measure.full_card": False,
    })  # fmt: skip
    found = stages.run(config, runs_dir=tmp_path / "runs", saved_models=tmp_path / "models")
    assert found is not None
    report = AraReport.from_json(found.run_folder / "ara.json")
    assert report.lipschitz is not None and report.lipschitz.slope > 1
    assert (report.lipschitz.rmse <= report.attack_rmse).all()
    assert "own certificate" in (found.run_folder / "report.html").read_text()
    card = json.loads((found.version_folder / "model_card.json").read_text())
    area = card["figures"]["certified ARA of the network itself"]
    assert area["value"] == report.lipschitz.ara.value
    kernels = [layer for layer in load(found.version_folder).layers if hasattr(layer, "kernel")]
    assert all(isinstance(layer.kernel_constraint, Orthogonal) for layer in kernels)
