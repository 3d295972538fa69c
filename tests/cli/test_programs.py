"""The programs on a real, very small network: what they write, and what they refuse."""

import json
import shutil
import subprocess
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

from tfrobust.runs import folder
from tfrobust.runs.recipes import fashion_mnist_mini


def refused(done: subprocess.CompletedProcess[str], said: str) -> None:
    assert done.returncode == 2, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr


@pytest.fixture(scope="session")
def model(tiny_run: Path) -> Path:
    return tiny_run / "saved_models" / "fashion_mnist_mini-smoke"


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "x.png"
    pixels = np.random.default_rng(0).integers(0, 256, (28, 28), np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def test_train_writes_a_run_and_a_version(tiny_run: Path, model: Path) -> None:
    (run,) = (tiny_run / "runs").iterdir()
    about = json.loads((run / "config.json").read_text())
    config = fashion_mnist_mini().replace(
        {
            "training.max_steps": 2,
            "network.architecture": str(tiny_run / "network.keras"),
            "psi.initial_share": 0.05,  # of what is no ResNet of ours
            "training.batch_size": 20,
        }
    )
    assert folder.read(run) == config
    assert {"tensorflow", "keras", "cleverhans"} <= set(about["versions"])
    assert "train.py" in about["command"]
    figures = json.loads((run / "ara.json").read_text())
    assert figures["smoke"] is True and figures["images"] == 4
    assert (run / "metrics.csv").read_text().count("\n") == 3
    assert list((run / "tensorboard").rglob("*.tfevents.*"))
    assert list((run / "checkpoints").glob("step-2.index"))
    version = model / "1"
    for name in ("saved_model.pb", "network.keras", "classifier.onnx", "model_card.json",
                 "MODEL_CARD.md", "explanations.png"):  # fmt: skip
        assert (version / name).is_file(), name
    card = json.loads((version / "model_card.json").read_text())
    assert card["recipe"] == config.to_json()
    assert card["figures"]["training seconds"] > 0 and "CPU" in card["figures"]["machine"]
    assert "](explanations.png)" in (version / "MODEL_CARD.md").read_text()


def test_train_ends_with_a_summary(tiny_run: Path) -> None:
    summary = (tiny_run / "summary.txt").read_text()
    for said in ("smoke run, not a measurement", "clean accuracy", "attack ARA", "BTR ARA",
                 "L2,min", "linearized margin (4 steps", "report.html",
                 "mini-smoke/1"):  # fmt: skip
        assert said in summary
    for line in summary.splitlines():
        if line.startswith(("run", "report", "model")):
            assert Path(line.split(maxsplit=1)[1]).exists()


def test_the_report_is_one_page_without_network(tiny_run: Path) -> None:
    (page,) = (tiny_run / "runs").glob("*/report.html")
    headings, sources = [], []

    class Reader(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            if tag == "h2":
                headings.append(tag)
            sources.extend(value or "" for name, value in attrs if name in ("src", "href"))

    text = page.read_text()
    Reader().feed(text)
    assert all(source.startswith(("data:", "#")) for source in sources)
    assert "smoke run, not a measurement" in text
    assert "Training" in text and "Explanations" in text and text.count("<svg") >= 3


@pytest.mark.slow
def test_the_full_card_has_the_certificate_and_the_usual_sizes(
    program: Callable, tiny_run: Path, tmp_path: Path
) -> None:
    done = program(
        "train", "--max_steps", 2, "--architecture", tiny_run / "network.keras", "--batch_size",
        20, "--full_card", "--runs_dir", tmp_path / "runs", "--saved_models", tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    (card,) = tmp_path.glob("*-smoke/1/model_card.json")
    told = json.loads(card.read_text())["figures"]
    robust = [told["robust accuracy in [0, 1] at L2"][size] for size in ("0.25", "0.5", "1")]
    assert told["clean accuracy"] >= robust[0]["value"] >= robust[2]["value"]
    assert all(one["low"] <= one["value"] <= one["high"] for one in robust)
    assert told["certified ARA of the smoothed network"]["draws"] == 100


def test_a_run_folder_of_another_configuration_is_refused(
    program: Callable, tiny_run: Path
) -> None:
    (run,) = (tiny_run / "runs").iterdir()
    done = program(
        "train", "--run_dir", run, "--saved_models", tiny_run / "saved_models", "--architecture",
        tiny_run / "network.keras",
    )  # fmt: skip
    refused(done, "--max_steps: None here, 2 there")


def test_evaluate_measures_an_exported_version(
    program: Callable, model: Path, tmp_path: Path
) -> None:
    done = program(
        "evaluate", "--model", model, "--dataset", "fashion_mnist_mini", "--images", 2, "--preset",
        "fast", "--output", tmp_path, "--certify", 0.25, "--draws", 20,
        "--certify_lipschitz",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    assert "certified ARA of the smoothed" in done.stdout
    assert "a lower bound for the network itself" in done.stdout
    assert "attack ARA" in done.stdout and "linearized margin (24 steps, 4 rivals)" in done.stdout
    assert json.loads((tmp_path / "ara.json").read_text())["images"] == 2
    assert (tmp_path / "report.html").is_file()
    another = program(
        "evaluate", "--model", model, "--dataset", "fashion_mnist_mini", "--images", 2, "--preset",
        "fast", "--output", tmp_path, "--bounds", "0,1",
    )  # fmt: skip
    refused(another, "name another folder, or delete this one: --fresh does that")


def test_evaluate_refuses_data_of_other_classes(
    program: Callable, model: Path, tmp_path: Path
) -> None:
    for index in range(2):
        (tmp_path / "set" / str(index)).mkdir(parents=True)
        for number in range(10):
            pixels = np.full((28, 28), 20 * number, np.uint8)
            Image.fromarray(pixels).save(tmp_path / "set" / str(index) / f"{number}.png")
    arguments = ("--model", model, "--output", tmp_path / "out", "--dataset")
    refused(program("evaluate", *arguments, f"folder:{tmp_path / 'set'}"), "10 classes")
    assert not (tmp_path / "out").exists()


def test_explain_draws_a_picture_resized_with_notice_and_without_transparency(
    program: Callable, model: Path, tmp_path: Path
) -> None:
    path = tmp_path / "wide.png"
    pixels = np.random.default_rng(0).integers(0, 256, (40, 60, 4), np.uint8)
    Image.fromarray(pixels, "RGBA").save(path)
    done = program("explain", "--model", model, "--image", path, "--target", "Sandal", cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "40 × 60" in done.stderr and "28 × 28" in done.stderr
    assert "transparent" in done.stderr
    assert "%" in done.stdout
    with Image.open(tmp_path / "wide-explained.png") as drawn:
        assert drawn.width > 8 * 28


def test_explain_refuses_a_target_out_of_range(
    program: Callable, model: Path, picture: Path, tmp_path: Path
) -> None:
    done = program(
        "explain", "--model", model, "--image", picture, "--target=Sandals", cwd=tmp_path
    )
    refused(done, "from 0 to 9 or one of T-shirt/top")


def test_a_model_that_is_none_is_refused(program: Callable, picture: Path, tmp_path: Path) -> None:
    (tmp_path / "x.keras").write_text("no network")
    done = program("explain", "--model", tmp_path / "x.keras", "--image", picture, cwd=tmp_path)
    refused(done, "x.keras is cut off, or is another file")


def test_a_network_that_no_picture_fits_is_refused(
    program: Callable, picture: Path, tmp_path: Path
) -> None:
    layers = [keras.layers.Flatten(), keras.layers.Dense(3)]
    keras.Sequential([keras.Input((8, 8, 4)), *layers]).save(tmp_path / "four.keras")
    done = program("explain", "--model", tmp_path / "four.keras", "--image", picture, cwd=tmp_path)
    refused(done, "1 or 3 channels, but ")


def test_export_makes_the_next_version(program: Callable, model: Path, tmp_path: Path) -> None:
    """Of a network that is quick to export, with the card of another."""
    (tmp_path / "1").mkdir()
    shutil.copy(model / "1" / "model_card.json", tmp_path / "1")
    network = keras.Sequential(
        [keras.Input((28, 28, 1)), keras.layers.Flatten(), keras.layers.Dense(10)]
    )
    network.save(tmp_path / "1" / "network.keras")
    done = program(
        "export", "--model", tmp_path / "1", "--output", tmp_path, "--temperature", 1.5, "--forms",
        "keras,classifier",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    assert (tmp_path / "2" / "saved_model.pb").is_file()
    told = [json.loads((tmp_path / n / "model_card.json").read_text()) for n in "12"]
    assert told[0]["classes"] == told[1]["classes"] and told[1]["temperature"] == 1.5
    # No images are kept for validation in the set that comes with the package.
    assert told[0]["temperature"] is None
    assert "no images for" in told[0]["figures"]["temperature of the probabilities"]
    done = program("export", "--model", tmp_path / "1", "--output", tmp_path, "--temperature", 0)
    refused(done, "expected a temperature above 0, got 0")
    names = ("--class_names", "one,two")
    done = program("export", "--model", tmp_path / "1", "--output", tmp_path, *names)
    refused(done, "expected 10 class names")


def test_a_diverged_training_says_so(program: Callable, tiny_run: Path, tmp_path: Path) -> None:
    done = program(
        "train", "--learning_rate", 1e25, "--architecture", tiny_run / "network.keras",
        "--max_steps", 20, "--nojit", "--runs_dir", tmp_path / "runs", "--saved_models",
        tmp_path / "models",
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("error: training diverged")
    assert "Traceback" not in done.stderr
    assert not list((tmp_path / "models").glob("*/*"))
