"""predict.py without a server: what it reads, what it writes, and what it says."""

import copy
import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

from tfrobust.cli import explain, predict
from tfrobust.cli.pictures import listed
from tfrobust.errors import InputError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    root = tmp_path / "set"
    (root / "deeper").mkdir(parents=True)
    for name in ("=a.png", "b.png", "deeper/c.png"):
        Image.fromarray(rng.integers(0, 256, (20, 40), np.uint8)).save(root / name)
    (root / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    (root / "notes.txt").write_text("no picture")
    return root


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network of three classes that was trained on whole pictures between margins."""
    folder = tmp_path_factory.mktemp("model")
    keras.utils.set_random_seed(0)
    network = keras.Sequential(
        [keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(3)]
    )
    network.save(folder / "network.keras")
    card = {"classes": ["bénin", "злокачественный", "=x"], "input": {"fit": "letterbox"}}
    (folder / "model_card.json").write_text(json.dumps(card))
    return folder


def table_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_a_folder_to_a_table(program: Callable, model: Path, folder: Path, tmp_path: Path) -> None:
    done = program("predict", "--model", model, "--image", folder, "--distance", cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    rows = table_of(tmp_path / "set-predicted.csv")
    assert [row["file"] for row in rows] == ["'=a.png", "b.png", "broken.png", "deeper/c.png"]
    assert "without pixels" in rows[2]["problem"] and not rows[2]["class"]
    for row in rows[:2]:
        shares = [float(row[f"probability of {name}"]) for name in ("bénin", "злокачественный")]
        assert 0 < sum(shares) < 1 and float(row["distance"]) > 0 and row["class"]
    assert "predicted  3 of 4 files" in done.stdout and "unreadable 1" in done.stdout
    assert "unreadable: broken.png" in done.stderr
    assert "1 files of" in done.stderr and "no pictures by their names" in done.stderr
    assert "nearer than RMSE 0.02" in done.stdout
    # What the card says decides how they are read.
    other = program(
        "predict", "--model", model, "--image", folder, "--fit", "crop", "--output", "crop.csv",
        cwd=tmp_path,
    )  # fmt: skip
    assert "read with --fit letterbox, and this command has --fit crop" in other.stderr
    assert table_of(tmp_path / "crop.csv")[0] != rows[0]
    assert not list(tmp_path.glob("*.partial"))


def test_a_table_of_files(program: Callable, model: Path, folder: Path, tmp_path: Path) -> None:
    (folder / "list.csv").write_text("image,age\nb,40\ngone.png,50\ndeeper/c.png,60\n")
    done = program(
        "predict", "--model", model, "--image", folder / "list.csv", "--flag_margin", 1,
        cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    rows = table_of(tmp_path / "list-predicted.csv")
    assert [row["file"] for row in rows] == ["b", "gone.png", "deeper/c.png"]
    assert rows[1]["problem"] == "there is no such file"
    assert [row["flagged"] for row in rows] == ["margin below 1", "", "margin below 1"]
    assert "flagged    2" in done.stdout


def test_explain_reads_as_the_card_says(
    program: Callable, model: Path, folder: Path, tmp_path: Path
) -> None:
    done = program(
        "explain", "--model", model, "--image", folder / "b.png", "--methods", "", cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "all of it, between margins" in done.stderr


def test_a_card_that_says_what_cannot_be(
    program: Callable, model: Path, folder: Path, tmp_path: Path
) -> None:
    shutil.copytree(model, tmp_path / "model")
    card = {"classes": ["a", "b", "c"], "input": {"fit": "stretch"}}
    (tmp_path / "model" / "model_card.json").write_text(json.dumps(card))
    done = program(
        "predict", "--model", tmp_path / "model", "--image", folder / "b.png", cwd=tmp_path
    )
    assert done.returncode == 2 and "got 'stretch'; give --fit" in done.stderr


def test_a_picture_is_not_overwritten(model: Path, folder: Path) -> None:
    picture = folder / "b.png"
    kept = picture.read_bytes()
    for flags, main in ((predict.FLAGS, predict.predict), (explain.FLAGS, explain.explain)):
        values = copy.deepcopy(flags)
        values(["…", *(f"--{name}={picture}" for name in ("image", "output")), f"--model={model}"])
        with pytest.raises(InputError, match="another file than --image"):
            main(values)
    assert picture.read_bytes() == kept


def test_files_that_are_named_must_be_there(folder: Path, tmp_path: Path) -> None:
    assert listed([str(folder / "b.png")]) == [(str(folder / "b.png"), folder / "b.png")]
    with pytest.raises(InputError, match=r"x\.png is not"):
        listed([str(folder / "x.png")])
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="none to read"):
        listed([str(tmp_path / "empty")])
