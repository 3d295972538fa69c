"""The programs on pictures with several labels, as a hospital has them."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from hospital_files import LABELS, hospital

from tfrobust import datasets
from tfrobust.robustness import AraReport, LabelsReport
from tfrobust.serving import Client
from tfrobust.serving.local import Server
from tfrobust.serving.settings import Settings


@pytest.fixture(scope="module")
def scans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """64 pictures of 32 patients; one of the labels is rare."""
    root = tmp_path_factory.mktemp("hospital")
    hospital(root, 64, several=True)
    return root


@pytest.mark.slow
def test_trained_measured_explained_exported_and_served(program, scans, tmp_path) -> None:
    data = [
        "--dataset", f"folder:{scans}", "--labels", scans / "labels.csv",
        "--fit", "letterbox",
    ]  # fmt: skip
    done = program(
        "train", *data, "--image_size", 24, "--epochs", 2, "--batch_size", 8, "--depth", 8,
        "--width", 2, "--architecture", "resnet_cifar", "--augmentation", "none",
        "--eval_images", 6, "--eval_preset", "fast", "--runs_dir", tmp_path / "runs",
        "--saved_models", tmp_path / "saved", "--full_card",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    for told in (*LABELS, "mean attack ARA", "none of 32 groups"):
        assert told in done.stdout
    (page,) = (tmp_path / "runs").glob("*/report.html")
    assert all(f"Explanations of {label}" in page.read_text() for label in LABELS)
    (version,) = (tmp_path / "saved").glob("*/1")
    card = json.loads((version / "model_card.json").read_text())
    assert (card["task"], card["classes"]) == ("multi-label", list(LABELS))
    for label in LABELS:
        told = card["figures"][f"label {label} in [0, 1]"]
        assert 0 <= told["robust accuracy in [0, 1] at L2"]["0.5"]["value"] <= 1
        assert told["certified ARA of the smoothed network"]["draws"] == 1000

    done = program(
        "evaluate", "--model", version, *data, "--images", 4, "--preset", "fast",
        "--output", tmp_path / "measured",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    report = LabelsReport.from_json(tmp_path / "measured" / "ara.json")
    assert [one.label for one in report.labels] == list(LABELS)
    done = program(
        "evaluate", "--model", version, *data, "--images", 4, "--preset", "fast", "--label", 0,
        "--output", tmp_path / "one",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    one = AraReport.from_json(tmp_path / "one" / "ara.json")
    np.testing.assert_allclose(one.attack_rmse, report.labels[0].report.attack_rmse, rtol=0.05)

    evidence = tmp_path / "evidence.json"
    done = program(
        "evidence", "--model", version, "--report", tmp_path / "measured" / "ara.json", "--data",
        scans, "--by", "the tests", "--output", evidence,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    done = program("evidence", "--verify", evidence)
    assert done.returncode == 0 and "evidence.json holds" in done.stdout, done.stderr[-3000:]

    some = [path for path in sorted(scans.iterdir()) if path.suffix != ".csv"][:5]
    table = ["predict", "--model", version, "--distance", "--thresholds", f"{LABELS[2]}=.01"]
    done = program(
        *table, "--image", ",".join(map(str, some)), "--output", tmp_path / "list-out.csv"
    )
    assert done.returncode == 0, done.stderr[-3000:]
    with (tmp_path / "list-out.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 5 and {row["nearest label"] for row in rows} <= set(LABELS)
    for row in rows:
        assert (LABELS[2] in row["labels"]) == (float(row[f"probability of {LABELS[2]}"]) > 0.01)
        assert float(row["distance"]) > 0
    assert "is within 0.1 of its threshold" in done.stdout

    picture = next(scans.glob("*.png"))
    explain = ["--model", version, "--image", picture, "--output", tmp_path / "x.png"]
    done = program("explain", *explain, "--target", LABELS[1])
    assert done.returncode == 0 and f"not {LABELS[1]}" in done.stdout, done.stderr[-3000:]
    refused = program("explain", *explain)
    assert refused.returncode == 2 and f"of {', '.join(LABELS)}" in refused.stderr

    source = datasets.load(
        f"folder:{scans}", labels=scans / "labels.csv", image_size=24, fit="letterbox"
    )
    images, _ = source.test_arrays(3)
    with (
        Server(tmp_path / "saved", Settings(port=0, rest_port=0)) as server,
        Client(f"127.0.0.1:{server.port}", model=version.parent.name) as client,
    ):
        found = client.predict_labels(images)
        assert found.label_names == list(LABELS) and found.predicted.shape == (3, 3)
        # Two epochs leave the network flat in places, where an attack finds no way.
        distance = client.robustness(images, targets=0)
        assert distance.found.any() and (distance.rmse[distance.found] > 0).all()
        done = program(
            "predict", "--server", f"127.0.0.1:{server.port}", "--model", version.parent.name,
            "--image", picture,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-3000:]
        assert any(told in done.stdout for told in (*LABELS, "no label"))


@pytest.mark.slow
def test_networks_of_classes_are_refused_in_words(program, scans, tmp_path) -> None:
    done = program(
        "evaluate", "--model", "fashion_mnist_mini", "--dataset", f"folder:{scans}",
        "--labels", scans / "labels.csv", "--output", tmp_path,
    )  # fmt: skip
    assert done.returncode == 2
    assert "expected a network of several labels" in done.stderr
