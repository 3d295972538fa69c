"""Which files of a folder are pictures."""

import os
from pathlib import Path

from tfrobust.datasets.folder_scan import scan


def touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def test_files_are_counted_by_kind(tmp_path: Path) -> None:
    pictures = [
        "a.png",
        "b.JPG",
        "c.jpeg",
        "d.webp",
        "e.TIFF",
        "f.bmp",
        "g.gif",
        "deep/er/h.tif",
        "i.DCM",
    ]
    touch(tmp_path, *(f"cat/{name}" for name in pictures), "dog/x.jpe")
    touch(tmp_path, "cat/notes.txt", "dog/1.csv", "dog/2.CSV", "dog/README")
    touch(tmp_path, "cat/.DS_Store", "cat/._a.png", "cat/.cache/a.png", "cat/__MACOSX/a.png")
    folder = scan(tmp_path)
    names = {f"cat/{name}" for name in pictures} | {"dog/x.jpe"}
    assert {picture.name for picture in folder.pictures} == names
    assert folder.passed_over == {".txt": 1, ".csv": 2, "without a suffix": 1}


def test_what_is_no_file_is_neither_waited_for_nor_followed(tmp_path: Path) -> None:
    touch(tmp_path, "cat/a.png", "dog/a.png", "elsewhere.png")
    os.mkfifo(tmp_path / "cat" / "pipe.png")
    (tmp_path / "cat" / "device.png").symlink_to("/dev/zero")
    (tmp_path / "cat" / "loop").symlink_to(tmp_path)
    (tmp_path / "cat" / "self.png").symlink_to(tmp_path / "cat" / "self.png")
    (tmp_path / "cat" / "nowhere.png").symlink_to("nowhere")
    (tmp_path / "cat" / "link.png").symlink_to(tmp_path / "elsewhere.png")
    (tmp_path / "bird").symlink_to(tmp_path / "cat")
    folder = scan(tmp_path)
    assert folder.class_names == ("bird", "cat", "dog")
    assert [one.name for one in folder.pictures if one.label == 1] == ["cat/a.png", "cat/link.png"]
    assert [one.name for one in folder.pictures if one.label == 0] == [
        "bird/a.png",
        "bird/link.png",
    ]
    # Twice of each: what is a class folder may be a link.
    assert folder.passed_over == {"pipe or device": 4, "link to a folder": 2, "broken link": 4}


def test_file_names_that_are_not_utf_8_are_shown_escaped(tmp_path: Path) -> None:
    touch(tmp_path, "cat/a.png", "dog/a.png")
    with open(os.fsencode(tmp_path) + b"/cat/caf\xe9.png", "wb"):
        pass
    (name,) = [one.name for one in scan(tmp_path).pictures if "caf" in one.name]
    assert name == "cat/caf\\xe9.png"
