"""Evidence about a network of several labels: figures for each label, computed again."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from networks import of_labels
from PIL import Image

import tfrobust
from tfrobust.attacks import LinearizedMargin
from tfrobust.core.provenance import file_hashes
from tfrobust.errors import InputError
from tfrobust.reports.evidence_file import EvidenceFile, Made
from tfrobust.robustness import LabelsReport
from tfrobust.runs.evidence_file import gather, refuse_other_answers, write
from tfrobust.runs.evidence_verification import verify

COMPILED = False  # figures are the same without XLA
COUNT, SIDE, LABELS, THRESHOLDS = 24, 6, ("top", "<left>", "middle"), (0.5, 0.3, 0.6)
TEMPERATURE = 2.0
MADE = Made(by="A", at="2026-11-27", command="evidence", versions={}, code="ab" * 32)


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, rng = tmp_path_factory.mktemp("evidence_of_labels"), np.random.default_rng(0)
    for name in ("model", "data"):
        (folder / name).mkdir()
    pixels = rng.integers(0, 256, (COUNT, SIDE, SIDE, 1), np.uint8)
    files = [f"{number}.png" for number in range(COUNT)]
    for name, image in zip(files, pixels, strict=True):
        Image.fromarray(image[..., 0]).save(folder / "data" / name)
    labels = tfrobust.as_labels(of_labels((SIDE, SIDE, 1), seed=3), thresholds=THRESHOLDS)
    labels.network.save(folder / "model" / "network.keras")
    planes = np.log(np.array(THRESHOLDS) / (1 - np.array(THRESHOLDS)))
    shown = 1 / (1 + np.exp(-planes / TEMPERATURE))
    card = {"name": "tiny", "classes": LABELS, "input": {"fit": "crop", "bits": None}}
    card |= {"thresholds": list(shown), "temperature": TEMPERATURE, "limits": ["Noise."]}
    (folder / "model" / "model_card.json").write_text(json.dumps(card))
    images = pixels.astype(np.float32) / 255
    truth = (np.asarray(labels(images)) > planes) ^ (rng.random((COUNT, 3)) < 0.2)
    report = tfrobust.evaluate_labels(
        labels, images, truth.astype(int), attacks=[LinearizedMargin(steps=6, batch_size=COUNT)],
        name="tiny", label_names=LABELS, files=files, progress=False,
        groups=[f"hospital {number % 2}" for number in range(COUNT)],
    )  # fmt: skip
    report.to_json(folder / "ara.json")
    refuse_other_answers(sources_in(folder))
    write(gather(sources_in(folder), folder, MADE), folder / "evidence.json")
    return folder


def sources_in(folder: Path) -> dict[str, Path]:
    return {"model": folder / "model", "report": folder / "ara.json", "data": folder / "data"}


def test_what_it_says_of_each_label(original: Path) -> None:
    found = EvidenceFile.from_json(original / "evidence.json")
    report = LabelsReport.from_json(original / "ara.json")
    assert found.attack_ara == report.mean_ara and found.performance is None
    for said, one in zip(found.labels, report.labels, strict=True):
        assert (said.label, said.threshold) == (one.label, one.threshold)
        assert said.attack_ara == one.report.attack_ara
        with_it = said.performance.sizes[0].classes[1]
        assert with_it.sensitivity.value == pytest.approx(one.sensitivity)
        assert with_it.specificity.value == pytest.approx(one.specificity)
        assert len(said.performance.by_group) == 2
    page = (original / "evidence.html").read_text()
    for told in ("top (above 0.5)", "&lt;left&gt; (above 0.3)", str(report.mean_ara)):
        assert told in page
    assert "<left>" not in page


def test_it_holds_where_all_of_it_was_moved(original: Path, tmp_path: Path) -> None:
    shutil.copytree(original, tmp_path / "moved")
    found = verify(tmp_path / "moved" / "evidence.json", MADE)
    assert found.broken == found.notes == ()


def of_a_label(*place: str | int, value: object) -> Callable[[Path], None]:
    """Changes the report, and says its hash anew in the evidence."""

    def change(folder: Path) -> None:
        path, evidence = folder / "ara.json", folder / "evidence.json"
        values = json.loads(path.read_text())
        inner = values
        for name in place[:-1]:
            inner = inner[name]
        assert inner[place[-1]] != value
        inner[place[-1]] = value
        path.write_text(json.dumps(values, indent=1, ensure_ascii=False))
        told = json.loads(evidence.read_text())
        told["files"]["report"] = file_hashes(path)
        evidence.write_text(json.dumps(told, indent=1, ensure_ascii=False))

    return change


def other_weights(folder: Path) -> None:
    of_labels((SIDE, SIDE, 1), seed=4).save(folder / "model" / "network.keras")
    evidence = folder / "evidence.json"
    told = json.loads(evidence.read_text())
    told["files"]["model"] = file_hashes(folder / "model")
    evidence.write_text(json.dumps(told, indent=1, ensure_ascii=False))


@pytest.mark.parametrize(
    ("tamper", "message"),
    [
        (of_a_label("mean_ara", "value", value=0.5), "in: mean_ara"),
        (of_a_label("labels", 1, "report", "attack_ara", "value", value=0.5), "ara of <left>"),
        (of_a_label("labels", 0, "holds", value=[1] * COUNT), "holds of top"),
        (of_a_label("labels", 2, "predicted", value=[1] * COUNT), "predicted of middle"),
        (of_a_label("labels", 1, "threshold", value=0.4), "their thresholds differ"),
        (of_a_label("labels", 1, "label", value="right"), "their classes differ"),
        (of_a_label("labels", 0, "report", "temperature", value=3.0), "their temperatures differ"),
    ],
)  # fmt: skip
def test_changes_are_noticed(
    original: Path, tmp_path: Path, tamper: Callable[[Path], None], message: str
) -> None:
    shutil.copytree(original, tmp_path / "forged")
    tamper(tmp_path / "forged")
    assert message in " ".join(verify(tmp_path / "forged" / "evidence.json", MADE).broken)


def test_another_networks_answers_are_noticed(original: Path, tmp_path: Path) -> None:
    shutil.copytree(original, tmp_path / "other")
    other_weights(tmp_path / "other")
    with pytest.raises(InputError, match="it answers otherwise"):
        refuse_other_answers(sources_in(tmp_path / "other"))
