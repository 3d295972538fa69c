"""ONNX files of any origin: fixed batches and other types are taken, other graphs are refused."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper

from tfrobust.core.door import as_classifier
from tfrobust.core.loading import load
from tfrobust.errors import InputError

DOUBLE, INT64 = onnx.TensorProto.DOUBLE, onnx.TensorProto.INT64
IMAGES = np.random.default_rng(0).random((3, 4, 5, 1), np.float32)


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


def test_one_image_at_a_time_in_double_precision(tmp_path: Path) -> None:
    onnx.save(classifier([1, 4, 5, 1], DOUBLE), tmp_path / "one.onnx")
    found = as_classifier(load(tmp_path / "one.onnx"))
    assert found.check(IMAGES) == 10
    np.testing.assert_allclose(found(IMAGES), IMAGES.reshape(3, -1)[:, :10], atol=1e-6)


def test_what_is_no_classifier_is_refused(tmp_path: Path) -> None:
    (tmp_path / "broken.onnx").write_bytes(b"nothing")
    with pytest.raises(InputError, match=r"broken\.onnx cannot be read"):
        load(tmp_path / "broken.onnx")
    onnx.save(classifier(["n", 4, 5, 1], INT64), tmp_path / "other.onnx")
    with pytest.raises(InputError, match=r"one input, images \(batch, height, width"):
        load(tmp_path / "other.onnx")
