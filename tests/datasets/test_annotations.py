"""Marks of evidence as files: whole or not there, and of the very picture."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tfrobust.datasets import annotations
from tfrobust.datasets.annotations import EVIDENCE, NO_EVIDENCE, Annotation
from tfrobust.errors import InputError

rng = np.random.default_rng(3)


def annotation(channels: int = 1, name: str = "a b/Ä x.png", **fields) -> Annotation:
    marks = np.zeros((5, 6), np.uint8)
    marks[1:3, 2:4], marks[4] = EVIDENCE, NO_EVIDENCE
    return Annotation(
        **{
            "image": rng.integers(0, 256, (5, 6, channels), np.uint8),
            "marks": marks,
            "name": name,
            "who": "Zoë",
            "when": "2026-11-27T19:00:00+00:00",
            "network": {"name": "n", "network": {"weights": "ab"}},
            "told": {"class": "c", "confidence": 0.5, "methods": ["Grad-CAM"]},
            **fields,
        }
    )


@pytest.mark.parametrize("channels", [1, 3])
def test_marks_come_back_as_they_were(channels: int, tmp_path: Path) -> None:
    one = annotation(channels)
    path = annotations.write(tmp_path / "marks", one)
    back = annotations.read(path)
    np.testing.assert_array_equal(back.image, one.image)
    np.testing.assert_array_equal(back.marks, one.marks)
    for field in ("name", "who", "when", "network", "told"):
        assert getattr(back, field) == getattr(one, field)
    assert path.name.startswith("x_png-") and len(list(path.parent.iterdir())) == 3
    # Other programs read them as grey pictures.
    with Image.open(path.with_suffix(".marks.png")) as picture:
        assert picture.mode == "L" and picture.size == (6, 5)


def test_the_same_picture_is_replaced_and_another_of_its_name_is_not(tmp_path: Path) -> None:
    one, other = annotation(), annotation()
    annotations.write(tmp_path, one)
    before = annotations.digest(tmp_path)
    annotations.write(tmp_path, Annotation(**{**vars(one), "who": "another"}))
    assert [found.who for found in annotations.read_folder(tmp_path)] == ["another"]
    assert annotations.digest(tmp_path) != before
    annotations.write(tmp_path, other)
    assert len(annotations.read_folder(tmp_path)) == 2


def test_marks_are_taken_away_with_all_their_files(tmp_path: Path) -> None:
    one, other = annotation(), annotation()
    for each in (one, other):
        annotations.write(tmp_path, each)
    assert annotations.remove(tmp_path, one.name, one.image)
    assert not annotations.remove(tmp_path, one.name, one.image)
    (left,) = annotations.read_folder(tmp_path)
    np.testing.assert_array_equal(left.image, other.image)
    assert len(list(tmp_path.iterdir())) == 3


def test_what_is_no_evidence() -> None:
    one = annotation()
    np.testing.assert_array_equal(one.outside, one.marks == NO_EVIDENCE)
    alone = np.where(one.marks == EVIDENCE, EVIDENCE, 0).astype(np.uint8)
    np.testing.assert_array_equal(annotation(marks=alone).outside, alone == 0)
    assert not annotation(marks=np.zeros_like(alone)).outside.any()


def test_damage_is_noticed(tmp_path: Path) -> None:
    path = annotations.write(tmp_path, annotation())
    for damaged in (path.with_suffix(".png"), path.with_suffix(".marks.png")):
        content = damaged.read_bytes()
        damaged.write_bytes(content[:-1])
        with pytest.raises(InputError, match="another file than when it was marked"):
            annotations.read(path)
        damaged.unlink()
        with pytest.raises(InputError, match="No such file"):
            annotations.read(path)
        damaged.write_bytes(content)
    content = json.loads(path.read_text())
    for change, words in (({"schema": 2}, "of schema 2"), ({"marks": None}, "NoneType")):
        path.write_text(json.dumps({**content, **change}))
        with pytest.raises(InputError, match=words):
            annotations.read_folder(tmp_path)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"image": np.zeros((5, 6, 2), np.uint8)}, "a picture as uint8"),
        ({"image": np.zeros((5, 6, 1))}, "a picture as uint8"),
        ({"marks": np.zeros((6, 5), np.uint8)}, "marks as uint8"),
        ({"marks": np.full((5, 6), 7, np.uint8)}, "marks of 255, 128 and 0"),
    ],
)
def test_refuses(fields: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        annotation(**fields)


def test_folders_without_marks_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there are none"):
        annotations.read_folder(tmp_path)
    with pytest.raises(InputError, match="there is none at"):
        annotations.read_folder(tmp_path / "nowhere")
    with pytest.raises(InputError, match="nothing is marked"):
        annotations.write(tmp_path, annotation(marks=np.zeros((5, 6), np.uint8)))
    assert not list(tmp_path.iterdir())
