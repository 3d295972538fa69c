"""A whole run on images with several labels: trained, measured, explained, exported."""

import csv
import json
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

import tfrobust
from tfrobust.errors import InputError
from tfrobust.exporting import forms
from tfrobust.robustness import LabelsReport
from tfrobust.runs import stages
from tfrobust.runs.build import build
from tfrobust.runs.config import Config

LABELS = ("bright top", "bright left")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures in one folder, and a CSV with a column of 0 and 1 for each label."""
    root, random, rows = tmp_path_factory.mktemp("pictures"), np.random.default_rng(0), []
    for number in range(40):
        labels = number % 2, number // 2 % 2
        pixels = random.integers(0, 160, (8, 8))
        pixels[:4] += 80 * labels[0]
        pixels[:, :4] += 80 * labels[1]
        Image.fromarray(np.minimum(pixels, 255).astype(np.uint8)).save(root / f"{number}.png")
        split = "test" if number >= 32 else "validation" if number >= 24 else "train"
        # One label is wrong, or no temperature were the best for those that are kept.
        told = labels if number != 24 else (1 - labels[0], labels[1])
        rows.append((f"{number}.png", *told, split))
    with (root / "labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("file", *LABELS, "split"), *rows])
    return root


def config(folder: Path, network: Path, **more: object) -> Config:
    plain = Config.from_json(
        {
            "name": "several",
            "data": {
                "name": f"folder:{folder}",
                "labels": str(folder / "labels.csv"),
                "group": "none",
                "image_size": 8,
                "augmentation": "none",
            },
            "network": {"architecture": str(network)},
            "training": {"epochs": 2, "batch_size": 8, "max_steps": 8},
            "psi": {"initial": 0.1},
            "watch": {"ara_every": 2, "explain_every": 2, "keep_best": "auc"},
        }
    )
    return plain.replace(more)


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    keras.utils.set_random_seed(0)
    layers = keras.layers
    file = tmp_path_factory.mktemp("network") / "small.keras"
    made = keras.Sequential(
        [keras.Input((8, 8, 1)), layers.Flatten(), layers.Dense(2, activation="sigmoid")]
    )
    # It knows the labels already, and is too sure of them.
    halves = np.full((8, 8, 2), -0.5)
    halves[:4, :, 0] = halves[:, :4, 1] = 0.5
    made.layers[-1].kernel.assign(halves.reshape(64, 2))
    made.layers[-1].bias.assign([-2.5, -2.5])  # half of what a bright half adds
    made.save(file)
    return file


@pytest.mark.slow
def test_a_run(folder: Path, network: Path, tmp_path: Path) -> None:
    summary = stages.run(
        config(folder, network), runs_dir=tmp_path / "runs", saved_models=tmp_path / "saved"
    )
    assert summary is not None
    kept = LabelsReport.from_json(summary.run_folder / "ara.json")
    assert [one.label for one in kept.labels] == list(LABELS)
    for told in ("2 labels", "mean attack ARA", *LABELS):
        assert told in str(summary)
    page = (summary.run_folder / "report.html").read_text()
    for heading in ("Training", *(f"Explanations of {label}" for label in LABELS)):
        assert f"<h2>{heading}</h2>" in page
    metrics = (summary.run_folder / "metrics.csv").read_text().splitlines()
    assert "attack ARA" in metrics[0] and "val_auc" in metrics[0]
    card = json.loads((summary.version_folder / "model_card.json").read_text())
    assert (card["task"], card["classes"], card["left_out"]) == ("multi-label", list(LABELS), {})
    assert "value" in card["figures"][f"label {LABELS[0]}"]["attack ARA"]
    assert (summary.version_folder / "explanations.png").is_file()
    loaded = tfrobust.as_labels(tfrobust.load(summary.version_folder))
    assert loaded.thresholds == (0.5, 0.5)
    (temperature,) = {one.report.temperature for one in kept.labels}
    assert card["temperature"] == temperature
    assert f"temperature {temperature:.3g}, fitted on 8 images for validation" in str(summary)
    served = forms.saved_model(summary.version_folder)["serving_default"](
        {"images": np.full((1, 8, 8, 1), 0.3, np.float32)}
    )
    tempered = 1 / (1 + np.exp(-served["logits"] / temperature))
    np.testing.assert_allclose(served["probabilities"], tempered, atol=1e-6)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"psi.loss_target": 0.7}, r"`psi\.loss_target` below ln 2 = 0\.693"),
        ({"margin.epsilon": 0.5}, r"no `margin\.epsilon` for images with several labels"),
        ({"adversarial.method": "trades"}, "Trades compares classes that exclude one another"),
    ],
)
def test_what_labels_cannot_have(folder, network, changes: dict, message: str) -> None:
    made = config(folder, network, **changes)
    source = tfrobust.datasets.load(
        f"folder:{folder}", labels=folder / "labels.csv", group="none", image_size=8
    )
    with pytest.raises(InputError, match=message):
        build(made, source.info, 4)
