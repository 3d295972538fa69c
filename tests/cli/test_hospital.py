"""The whole way of a hospital's pictures through the programs, from their files to evidence."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hospital_files import CLASSES, PATIENTS, Picture, hospital
from PIL import Image

from tfrobust import datasets
from tfrobust.robustness import AraReport
from tfrobust.serving import Client
from tfrobust.serving.local import Server
from tfrobust.serving.settings import Settings

NUMBER, SIZE = 60, 24


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Picture]]:
    """The folder, and its pictures by their files."""
    root = tmp_path_factory.mktemp("больница")
    return root, {one.file: one for one in hospital(root, NUMBER)}


@pytest.fixture(scope="module")
def done(program: Callable) -> Callable[..., str]:
    """Runs a program that must succeed; → what it printed."""

    def run(name: str, *arguments: object) -> str:
        ended = program(name, *arguments)
        assert ended.returncode == 0, ended.stderr[-3000:]
        return ended.stdout

    return run


@pytest.mark.slow
def test_from_the_files_to_evidence(
    done: Callable[..., str],
    program: Callable,
    pictures: tuple[Path, dict[str, Picture]],
    tmp_path: Path,
) -> None:
    root, made = pictures
    data = ["--dataset", f"folder:{root}", "--labels", root / "labels.csv", "--fit", "letterbox"]
    printed = done(
        "train", "--recipe", "radiographs", *data, "--image_size", SIZE, "--epochs", 1,
        "--batch_size", 8, "--width", 2, "--balance", "weights", "--eval_images", 8,
        "--eval_preset", "fast", "--runs_dir", tmp_path / "runs", "--saved_models",
        tmp_path / "saved",
    )  # fmt: skip
    assert "none of 32 groups by the column 'patient' is on both sides" in printed
    (version,) = (tmp_path / "saved").glob("*/1")
    (run,) = (tmp_path / "runs").iterdir()
    card = json.loads((version / "model_card.json").read_text())
    assert card["classes"] == list(CLASSES)
    assert not any(name in (version / "MODEL_CARD.md").read_text() for name in PATIENTS)

    # The images that are measured have the names and labels of their files.
    report_path = tmp_path / "measured" / "ara.json"
    done(
        "evaluate", "--model", version, *data, "--images", 8, "--preset", "fast",
        "--output", report_path.parent,
    )  # fmt: skip
    found = AraReport.from_json(report_path).predictions
    assert found is not None and len(set(found.files)) == 8
    for file, label in zip(found.files, found.labels, strict=True):
        assert made[file].label == CLASSES[label]
    patients = [made[file].patient for file in found.files]
    assert len(set(zip(patients, found.groups, strict=True))) == len(set(found.groups))
    assert all(name in (report_path.parent / "report.html").read_text() for name in CLASSES)

    # Over the original at its size: three columns of twice 160 pixels.
    scan = next(one for one in made if one.endswith("-ct.dcm"))
    done("explain", "--model", version, "--image", root / scan, "--output", tmp_path / "x.png",
         "--target", CLASSES[2], "--methods", "")  # fmt: skip
    with Image.open(tmp_path / "x.png") as sheet:
        assert sheet.width > 3 * 2 * 160

    done("export", "--model", version, "--output", version.parent, "--forms", "keras")
    exported = json.loads((version.parent / "2" / "model_card.json").read_text())
    assert {"classes": exported["classes"], **exported["input"]} == {
        "classes": card["classes"],
        **card["input"],
    }

    table = tmp_path / "table.csv"
    printed = done("predict", "--model", version.parent, "--image", root, "--output", table)
    assert f"predicted  {NUMBER} of {NUMBER} files" in printed
    with table.open(newline="", encoding="utf-8") as file:
        rows = {row["file"]: row for row in csv.DictReader(file)}
    assert rows.keys() == made.keys() and not any(row["problem"] for row in rows.values())

    # The served model says of the pixels what the table says of their files.
    source = datasets.load(
        f"folder:{root}", labels=root / "labels.csv", image_size=SIZE, fit="letterbox"
    )
    sample = source.test_sample(4)
    with (
        Server(tmp_path / "saved", Settings(port=0, rest_port=0)) as server,
        Client(f"127.0.0.1:{server.port}", model=version.parent.name) as client,
    ):
        shares = client.predict(sample.images).probabilities
    told = [[rows[file][f"probability of {name}"] for name in CLASSES] for file in sample.files]
    np.testing.assert_allclose(shares, np.array(told, float), atol=1e-4)

    evidence = tmp_path / "evidence.json"
    done(
        "evidence", "--model", version, "--report", report_path, "--data", root, "--run", run,
        "--by", "Ärztin", "--output", evidence,
    )  # fmt: skip
    assert "holds" in done("evidence", "--verify", evidence)
    assert all(name in evidence.with_suffix(".html").read_text() for name in CLASSES)
    changed = root / found.files[0]
    changed.write_bytes(changed.read_bytes() + b"\0")
    refused = program("evidence", "--verify", evidence)
    assert refused.returncode == 1 and found.files[0] in refused.stderr
