"""Which sub-folders are classes, and which are splits."""

import os
from pathlib import Path

import pytest

from tfrobust.datasets.folder_layout import layout
from tfrobust.errors import InputError


def folders(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).mkdir(parents=True)
    return root


def with_classes(root: Path, *splits: str) -> Path:
    return folders(root, *(f"{split}/{name}" for split in splits for name in ("cat", "dog")))


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (("train", "valid", "test"), {"train": "train", "validation": "valid", "test": "test"}),
        (("Train", "Test"), {"train": "Train", "test": "Test"}),
        (("training", "testing"), {"train": "training", "test": "testing"}),
        (("TRAIN", "Dev", "TEST"), {"train": "TRAIN", "validation": "Dev", "test": "TEST"}),
        (("train", "val"), {"train": "train", "test": "val"}),
        (("training", "validation"), {"train": "training", "test": "validation"}),
        (("train",), {None: "train"}),
        (("train", "test", "__MACOSX", ".cache"), {"train": "train", "test": "test"}),
        (("train", "test", "raw"), {"train": "train", "test": "test"}),
    ],
)
def test_splits_however_they_are_spelt(
    names: tuple[str, ...], found: dict[str | None, str], tmp_path: Path
) -> None:
    with_classes(tmp_path, *names)
    told = layout(tmp_path)
    assert told.class_names == ("cat", "dog")
    assert {split: path.name for split, path in told.parts.items()} == found


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (("Train", "Valid", "Test"), "Train/ for train, Valid/ for validation, Test/ for test"),
        (("train", "dev"), "no test/, so dev/ is tested on"),
        (("train", "test", "raw"), "raw/ beside train/ is not read"),
    ],
)
def test_what_may_surprise_is_said(names: tuple[str, ...], said: str, tmp_path: Path) -> None:
    assert any(said in note for note in layout(with_classes(tmp_path, *names)).notes)


def test_nothing_is_said_of_the_usual_names(tmp_path: Path) -> None:
    assert layout(with_classes(tmp_path, "train", "test")).notes == ()


@pytest.mark.parametrize(
    "names",
    [("bus", "car", "train"), ("test", "train/steam", "train/diesel", "bus"), ("dev", "ops")],
)
def test_a_class_may_be_called_as_a_split(names: tuple[str, ...], tmp_path: Path) -> None:
    told = layout(folders(tmp_path, *names))
    assert told.class_names == tuple(sorted({name.split("/")[0] for name in names}))
    assert list(told.parts) == [None]


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (("test/a", "test/b"), "has test/ but no train/"),
        (("train/a", "train/b", "test/a", "test/c"), "only in training: b; only in test: c"),
        (("train/a", "train/b", "test"), "only in training: a, b; only in test: none"),
        (("train/a", "train/b", "val/a", "val/b", "dev/a"), "more than one folder for validation"),
        (("data/a", "data/b"), "If the classes lie in data/, name that folder"),
        (("cats",), "at least two; it has cats"),
        ((), "at least two; it has none"),
        (("train/cats",), "at least two; it has cats"),
    ],
)
def test_wrong_layouts_are_refused(names: tuple[str, ...], said: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=said):
        layout(folders(tmp_path, *names))


def test_pictures_without_a_class_are_counted(tmp_path: Path) -> None:
    for number in range(3):
        (tmp_path / f"{number}.JPG").touch()
    with pytest.raises(InputError, match="it has none and 3 pictures that lie in no class"):
        layout(tmp_path)


@pytest.mark.parametrize("name", [b"caf\xe9", b"a\nb", b"bell\x07"])
def test_names_that_no_report_can_carry_are_refused(name: bytes, tmp_path: Path) -> None:
    folders(tmp_path, "dog")
    os.mkdir(os.fsencode(tmp_path) + b"/" + name)
    with pytest.raises(InputError, match="not UTF-8, or has control characters"):
        layout(tmp_path)


@pytest.mark.parametrize("name", ["網膜 (retina)", "Röntgen_Thorax", "a$b^", "🐈", "<b>&"])
def test_other_names_are_taken(name: str, tmp_path: Path) -> None:
    assert name in layout(folders(tmp_path, "dog", name)).class_names
