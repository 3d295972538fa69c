"""evaluate.py on models without gradients: an ONNX file, a Python function."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
from onnx import helper

DOUBLE, INT64 = onnx.TensorProto.DOUBLE, onnx.TensorProto.INT64
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
    assert any("SPSA" in name for name in names) and not any("linearized" in name for name in names)
    assert any("without gradients" in warning for warning in report["warnings"])


def test_a_python_function_is_attacked(program: Callable, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(FUNCTION)
    done = evaluate(program, "python:mine:answer", tmp_path / "out", cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "attack ARA" in done.stdout


def test_what_is_no_function_is_refused(program: Callable, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(FUNCTION)
    for name, said in (
        ("python:mine:broken", "out of order"),
        ("python:mine:weights", "ndarray"),
        ("python:mine", "package.module:function"),
        ("python:nowhere:answer", "nowhere"),
    ):
        done = evaluate(program, name, tmp_path / "out", cwd=tmp_path)
        assert done.returncode == 2 and said in done.stderr, done.stderr[-2000:]
        assert "Traceback" not in done.stderr


def test_what_is_no_onnx_classifier_is_refused(program: Callable, tmp_path: Path) -> None:
    (tmp_path / "broken.onnx").write_bytes(b"nothing")
    done = evaluate(program, tmp_path / "broken.onnx", tmp_path / "out")
    assert done.returncode == 2 and "cannot be read" in done.stderr
    assert "Traceback" not in done.stderr
    onnx.save(classifier(["n", 28, 28, 1], INT64), tmp_path / "other.onnx")
    done = evaluate(program, tmp_path / "other.onnx", tmp_path / "out")
    assert done.returncode == 2 and "one input, images (batch, height, width" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_onnx_file_of_one_image_at_a_time_is_attacked(program: Callable, tmp_path: Path) -> None:
    onnx.save(classifier([1, 28, 28, 1], DOUBLE), tmp_path / "one.onnx")
    done = evaluate(program, tmp_path / "one.onnx", tmp_path / "out")
    assert done.returncode == 0 and "attack ARA" in done.stdout, done.stderr[-2000:]


def classifier(shape: list[Any], kind: int) -> onnx.ModelProto:
    """The first ten pixels as logits."""
    taken = helper.make_tensor_value_info("images", kind, shape)
    given = helper.make_tensor_value_info("logits", kind, [shape[0], 10])
    parts = [("starts", [0, 0]), ("ends", [1000, 10]), ("axes", [0, 1])]
    held = [helper.make_tensor(name, INT64, [2], values) for name, values in parts]
    nodes = [
        helper.make_node("Flatten", ["images"], ["flat"]),
        helper.make_node("Slice", ["flat", "starts", "ends", "axes"], ["logits"]),
    ]
    graph = helper.make_graph(nodes, "pixels", [taken], [given], held)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
