"""explain.py on files, folders and data sets."""

import copy
import json
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

import tfrobust
from tfrobust.cli import asked, explain
from tfrobust.cli.asked import chosen_class
from tfrobust.cli.explain import checked_sizes
from tfrobust.cli.explained import probabilities
from tfrobust.cli.pictures import readable
from tfrobust.datasets.folder import Reading
from tfrobust.errors import InputError
from tfrobust.runs.file_predictions import predicted


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three pictures of different sizes, two of the same name; a broken one; and a text."""
    rng = np.random.default_rng(0)
    for name, shape in (("b.png", (28, 28)), ("a.jpg", (40, 50, 3)), ("a.png", (28, 28))):
        Image.fromarray(rng.integers(0, 256, shape, np.uint8)).save(tmp_path / name)
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    (tmp_path / "notes.txt").write_text("no picture")
    return tmp_path


def test_a_folder_with_page_animation_and_methods(
    program: Callable, tiny_run: Path, folder: Path, tmp_path: Path
) -> None:
    done = program(
        "explain", "--model", tiny_run / "saved_models" / "fashion_mnist_mini-smoke", "--image",
        folder, "--html", "--animation", "gif", "--methods", "grad_cam,smallest_change", "--output",
        tmp_path / "out.png", "--target", "Coat",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    assert "left out, unreadable: " in done.stderr and "40 × 50" in done.stderr
    for name in ("a.jpg", "a.png", "b"):
        with Image.open(tmp_path / f"out-{name}.png") as drawn:
            # A column of maps, the changed picture and the change: panels of at least 320.
            assert drawn.width > 3 * 320
        assert "Coat" in (tmp_path / f"out-{name}.html").read_text()
        assert (tmp_path / f"out-{name}-growing.gif").read_bytes().startswith(b"GIF89a")
        assert f"{name}:\n" in done.stdout
    assert not list(tmp_path.glob("out-broken*")) and not list(tmp_path.glob(".*"))
    assert done.stdout.count("page ") == 3
    assert f"picture {tmp_path / 'out-b.png'}" in done.stdout


@pytest.mark.slow
def test_a_data_set_labelled(program: Callable, tiny_run: Path, tmp_path: Path) -> None:
    model = tiny_run / "saved_models" / "fashion_mnist_mini-smoke"
    arguments = (
        "--dataset",
        "fashion_mnist_mini",
        "--images",
        2,
        "--methods",
        "",
        "--sizes",
        ".02,.1",
    )
    done = program("explain", "--model", model, *arguments, cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    for number in range(2):
        with Image.open(tmp_path / f"fashion_mnist_mini-explained-{number}.png") as drawn:
            # The picture, and for each size the changed picture and the change: panels of 336.
            assert drawn.width == 5 * 336 + 6 * 14
    assert done.stdout.count("%") == 6


def test_it_is_as_sure_as_predict_is(folder: Path, tmp_path: Path) -> None:
    layers = [keras.layers.Flatten(), keras.layers.Dense(3)]
    keras.Sequential([keras.Input((4, 4, 1)), *layers]).save(tmp_path / "network.keras")
    card = {"classes": ["a", "b", "c"], "temperature": 2.5}
    (tmp_path / "model_card.json").write_text(json.dumps(card))
    values = copy.deepcopy(explain.FLAGS)
    values(["explain", f"--model={tmp_path}", f"--image={folder / 'b.png'}"])
    classifier, found, *_ = asked.read(values, [folder / "b.png"])
    (row,) = predicted(
        classifier, [("b.png", folder / "b.png")], Reading(), batch_size=1, temperature=2.5
    )
    told = probabilities(classifier, found.images)
    np.testing.assert_allclose(told, row.probabilities, rtol=1e-5)
    record = tfrobust.explain(classifier, found.images, 1)
    assert record.confidence_before[0] == pytest.approx(told[1], rel=1e-5)


def test_a_folder_gives_its_first_pictures(folder: Path, capsys) -> None:
    assert [path.name for path in readable(folder, 8)] == ["a.jpg", "a.png", "b.png"]
    assert "broken.png" in capsys.readouterr().err
    assert [path.name for path in readable(folder, 1)] == ["a.jpg"]
    assert "4 pictures, of which 1" in capsys.readouterr().err
    assert readable(folder / "b.png", 1) == [folder / "b.png"]


def test_a_folder_without_pictures_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="none to read"):
        readable(tmp_path, 8)


def test_sizes_are_numbers_in_order() -> None:
    assert checked_sizes([".1", "0.02"]) == [0.02, 0.1]
    for wrong in (["x"], ["0"], ["2"], []):
        with pytest.raises(InputError, match="--sizes as RMSE of pixels above 0"):
            checked_sizes(wrong)
    for many in (["0.1", ".1"], [f"0.{number}1" for number in range(1, 10)]):
        with pytest.raises(InputError, match="at most 8 --sizes, each once"):
            checked_sizes(many)


def test_classes_by_name_and_number() -> None:
    names = ["Cat", "dog", "7"]
    assert [chosen_class(text, names) for text in (None, "cat", "DOG", "0", "7")] == [
        -1, 0, 1, 0, 2,
    ]  # fmt: skip
    for wrong in ("3", "-1", "bird", "²"):
        with pytest.raises(InputError, match=r"from 0 to 2 or one of Cat, dog, 7"):
            chosen_class(wrong, names)
