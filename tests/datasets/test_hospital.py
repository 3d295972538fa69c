"""A set as a hospital has it: DICOM, TIFF and PNG together, rare classes, patients seen twice."""

from pathlib import Path

import numpy as np
import pytest
from hospital_files import CLASSES, LABELS, PATIENTS, hospital

from tfrobust import datasets
from tfrobust.datasets import folder as folder_module
from tfrobust.datasets.resizing import fit

NUMBER, SIZE = 40, (32, 32)


@pytest.mark.parametrize("several", [False, True], ids=["classes", "labels"])
@pytest.mark.parametrize("memory", [10**9, 1], ids=["memory", "files"])
def test_nothing_is_dropped_or_leaked_and_every_grey_level_is_right(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, memory: int, several: bool
) -> None:
    monkeypatch.setattr(folder_module, "MEMORY_BYTES", memory)
    expected = {
        fit(one.pixels[..., None], SIZE, "letterbox").tobytes(): one
        for one in hospital(tmp_path, NUMBER, several=several)
    }
    assert len(expected) == NUMBER
    data = datasets.load(
        f"folder:{tmp_path}", labels=tmp_path / "labels.csv", image_size=SIZE[0], fit="letterbox"
    )
    names = LABELS if several else CLASSES
    assert data.info.class_names == names and data.skipped == ()
    assert data.info.train_images + data.info.test_images == NUMBER
    train = next(iter(data.train(data.info.train_images, seed=0, augmentation="none")))
    patients = []
    for images, labels in (train, data.test_arrays(None)):
        side = set()
        for image, label in zip(np.asarray(images), np.asarray(labels), strict=True):
            found = expected.pop(np.rint(image * 255).astype(np.uint8).tobytes())
            told = tuple(names[one] for one in label.nonzero()[0]) if several else names[label]
            assert told == found.label
            side.add(found.patient)
        patients.append(side)
    assert not expected
    assert not patients[0] & patients[1]
    assert "none of 20 groups by the column 'patient' is on both sides" in data.info.provenance
    for name in PATIENTS:
        assert name not in data.info.provenance
