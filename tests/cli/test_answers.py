"""evaluate.py on models without gradients: an ONNX file, a Python function."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

FUNCTION = """
import numpy as np

weights = np.random.default_rng(0).normal(size=(784, 10)).astype(np.float32)


def answer(images):
    return images.reshape(len(images), -1) @ weights / 10


def broken(images):
    raise ValueError("out of order")
"""


def evaluate(program: Callable, model: object, folder: Path, cwd: Path | None = None):
    return program(
        "evaluate", "--model", model, "--dataset", "fashion_mnist_mini", "--images", 3,
        "--preset", "fast", "--output", folder, cwd=cwd,
    )  # fmt: skip


def test_an_onnx_file_is_attacked_without_gradients(
    program: Callable, tiny_run: Path, tmp_path: Path
) -> None:
    model = tiny_run / "saved_models" / "fashion_mnist_mini-smoke" / "1" / "classifier.onnx"
    done = evaluate(program, model, tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]
    report = json.loads((tmp_path / "ara.json").read_text())
    names = {attack["name"] for attack in report["attacks"]}
    assert any("by differences in" in name for name in names)
    assert any("without gradients" in warning for warning in report["warnings"])


@pytest.mark.slow
def test_a_python_function_is_attacked(program: Callable, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(FUNCTION)
    done = evaluate(program, "python:mine:answer", tmp_path / "out", cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "attack ARA" in done.stdout


def test_a_function_that_fails_is_told_by_its_words(program: Callable, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(FUNCTION)
    done = evaluate(program, "python:mine:broken", tmp_path / "out", cwd=tmp_path)
    assert done.returncode == 2 and "out of order" in done.stderr, done.stderr[-2000:]
    assert "Traceback" not in done.stderr
