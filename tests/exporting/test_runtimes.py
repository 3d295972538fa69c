"""classifier.onnx and explainer.onnx in the runtimes of docs/guides/runtimes.md.

Each runtime is installed into an environment of its own, as pip resolves it today, and skips where
pip cannot have it.
"""

import subprocess
import venv
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import onnxruntime
import pytest
import tensorflow as tf

from tfrobust.exporting import onnx, saved_model
from tfrobust.models import mirrored, resnet_cifar

pytestmark = pytest.mark.slow

# What a program begins with: the file and its inputs; `keep` says where the outputs go.
READ = """
import sys
import numpy as np
path, given, into = sys.argv[1:]
inputs = dict(np.load(given))
"""
ONNXRUNTIME = (
    READ
    + """
import onnxruntime
running = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
np.savez(into, *running.run(None, inputs))
"""
)
OPENVINO = (
    READ
    + """
import openvino
precise = {"INFERENCE_PRECISION_HINT": "f32"}
running = openvino.Core().compile_model(path, "CPU", precise)
np.savez(into, *running(inputs).values())
"""
)
ONNX2TORCH = (
    READ
    + """
import onnx, onnx2torch, torch
module = onnx2torch.convert(onnx.load(path)).eval()
images = torch.tensor(inputs["images"], requires_grad=True)
outputs = module(images)
outputs[0].sum().backward()
assert images.grad.abs().max() > 0
np.savez(into, *(one.detach().numpy() for one in outputs))
"""
)
BOTH, PREDICT = ("classifier.onnx", "explainer.onnx"), ("classifier.onnx",)
RUNTIMES = {
    "onnxruntime 1.17": (["onnxruntime==1.17.3", "numpy<2"], ONNXRUNTIME, BOTH),
    "onnxruntime 1.20": (["onnxruntime==1.20.1"], ONNXRUNTIME, BOTH),
    "onnxruntime 1.23": (["onnxruntime==1.23.2"], ONNXRUNTIME, BOTH),
    "OpenVINO": (["openvino"], OPENVINO, BOTH),
    "onnx2torch": (["torch", "onnx2torch"], ONNX2TORCH, PREDICT),
}
IMAGES = np.random.default_rng(0).random((3, 16, 16, 3), np.float32)
WISHES = {
    "target": np.array([-1, 2, 0], np.int32),
    "direction": np.array([1, -1, 1], np.int32),
    "rho": np.array([0.1, 0.05, 0.02], np.float32),
}
INPUTS = {"classifier.onnx": {"images": IMAGES}, "explainer.onnx": {"images": IMAGES, **WISHES}}


@pytest.fixture(scope="module")
def network() -> keras.Model:
    """Mirrored as the shipped cifar10 is; its convolutions have strides of 1 and 2."""
    keras.utils.set_random_seed(0)
    return mirrored(resnet_cifar(depth=8, width=8, input_shape=(16, 16, 3)))


@pytest.fixture(scope="module")
def files(network: keras.Model, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("onnx")
    names = [f"class {number}" for number in range(10)]
    onnx.write_classifier(network, folder / "classifier.onnx", class_names=names)
    onnx.write_explainer(network, folder / "explainer.onnx", class_names=names)
    return folder


@pytest.fixture(scope="module")
def expected(files: Path) -> Callable[[str], list[np.ndarray]]:
    def run(name: str) -> list[np.ndarray]:
        return onnxruntime.InferenceSession(str(files / name)).run(None, INPUTS[name])

    return run


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_runtime_gives_the_same(
    runtime: str, files: Path, expected: Callable[[str], list[np.ndarray]], tmp_path: Path
) -> None:
    requirements, program, names = RUNTIMES[runtime]
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv" / "bin" / "python"
    install = [python, "-m", "pip", "install", "--quiet", *requirements]
    installed = subprocess.run(install, capture_output=True, text=True)
    if installed.returncode:
        pytest.skip(f"pip has no {runtime} here: {installed.stderr.strip().splitlines()[-1]}")
    (tmp_path / "program.py").write_text(program)
    for name in names:
        np.savez(tmp_path / "inputs.npz", **INPUTS[name])
        command = [python, "program.py", files / name, "inputs.npz", "outputs.npz"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-2000:]
        with np.load(tmp_path / "outputs.npz") as outputs:
            found = list(outputs.values())
        agree(found, expected(name))


def agree(found: list[np.ndarray], wanted: list[np.ndarray]) -> None:
    """Runtimes sum in orders of their own; a walk carries the rounding on."""
    assert len(found) == len(wanted)
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-3 * np.abs(other).max())


def test_tensorflow_lite_predicts(network: keras.Model, tmp_path: Path) -> None:
    names = [f"class {number}" for number in range(10)]
    saved_model._write_saved_model(network, tmp_path, names, bits=None)
    converter = tf.lite.TFLiteConverter.from_saved_model(
        str(tmp_path), signature_keys=["serving_default"]
    )
    running = tf.lite.Interpreter(model_content=converter.convert())
    found = running.get_signature_runner("serving_default")(images=IMAGES)
    np.testing.assert_allclose(found["logits"], network(IMAGES), atol=1e-4)
