"""A set as a hospital has it: DICOM, TIFF and PNG together, rare classes, patients seen twice."""

import csv
from pathlib import Path

import numpy as np
import pytest
from hospital_files import PATIENTS, SUFFIXES, slices, write

from tfrobust import datasets
from tfrobust.datasets import folder as folder_module
from tfrobust.datasets.resizing import fit

CLASSES = ("effusion", "healthy", "mass")
SIZE = (32, 32)


@pytest.fixture(params=[10**9, 1], ids=["memory", "files"])
def hospital(
    tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> tuple[Path, dict[bytes, tuple[str, str]]]:
    """The folder, and the class and the patient of each picture by the pixels it must become."""
    monkeypatch.setattr(folder_module, "MEMORY_BYTES", request.param)
    random = np.random.default_rng(0)
    sources, expected, rows = slices(), {}, []
    for number in range(40):
        patient = f"{PATIENTS[number % 4]}{number // 8}"
        label = CLASSES[0 if number % 10 == 3 else 2 if number % 5 == 1 else 1]
        whole = sources[number % 3]
        top, left = random.integers(0, [side - 200 for side in whole.shape])
        levels = whole[top : top + 180, left : left + 200]
        suffix = SUFFIXES[number % 4 if number % 8 < 4 else 0]
        name = f"{patient} {number}{suffix}"
        pixels = write(tmp_path / name, levels, patient)
        key = fit(pixels[..., None], SIZE, "letterbox").tobytes()
        assert key not in expected
        expected[key] = label, patient
        rows.append({"file": name, "label": label, "patient": patient})
    with (tmp_path / "labels.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return tmp_path, expected


def test_nothing_is_dropped_or_leaked_and_every_grey_level_is_right(
    hospital: tuple[Path, dict[bytes, tuple[str, str]]],
) -> None:
    root, expected = hospital
    data = datasets.load(
        f"folder:{root}", labels=root / "labels.csv", image_size=SIZE[0], fit="letterbox"
    )
    assert data.info.class_names == CLASSES and data.skipped == ()
    assert data.info.train_images + data.info.test_images == 40
    train = next(iter(data.train(data.info.train_images, seed=0, augmentation="none")))
    patients, seen = [], 0
    for images, labels in (train, data.test_arrays(None)):
        side = set()
        for image, label in zip(np.asarray(images), np.asarray(labels), strict=True):
            name, patient = expected.pop(np.rint(image * 255).astype(np.uint8).tobytes())
            assert CLASSES[label] == name
            side.add(patient)
            seen += 1
        patients.append(side)
    assert seen == 40 and not expected
    assert not patients[0] & patients[1]
    assert "none of 20 groups by the column 'patient' is on both sides" in data.info.provenance
    for name in PATIENTS:
        assert name not in data.info.provenance
