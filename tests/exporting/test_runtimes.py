"""classifier.onnx and explainer.onnx in the runtimes of docs/guides/runtimes.md.

Each runtime is installed into an environment of its own, as pip resolves it today, and skips where
pip cannot have it.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import environments
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
# tensorflowjs also imports what reads networks of JAX and decision forests, which nothing here is.
CONVERT_TO_JS = """
import sys, types
import keras, tensorflow
for name in ("tensorflow_decision_forests", "jax", "jax.experimental", "jax.experimental.jax2tf"):
    sys.modules[name] = types.ModuleType(name)
sys.modules["jax.experimental"].jax2tf = None
from tensorflowjs.converters.converter import pip_main
pip_main()
"""
JAVASCRIPT = """
const fs = require("fs");
const tf = require("@tensorflow/tfjs");
const [folder, given, into] = process.argv.slice(2);
(async () => {
  const model = JSON.parse(fs.readFileSync(`${folder}/model.json`));
  // TF.js counts the inputs that only order the computing among those that are stacked.
  for (const node of model.modelTopology.node)
    node.input = (node.input || []).filter((name) => !name.startsWith("^"));
  const files = model.weightsManifest.flatMap(({ paths }) => paths);
  const weights = Buffer.concat(files.map((path) => fs.readFileSync(`${folder}/${path}`)));
  const loaded = await tf.loadGraphModel(tf.io.fromMemory({
    modelTopology: model.modelTopology,
    weightSpecs: model.weightsManifest.flatMap(({ weights }) => weights),
    weightData: weights.buffer.slice(weights.byteOffset, weights.byteOffset + weights.length),
    signature: model.signature,
  }));
  // It gathers no strings, and so tells no class_name. The converter loses some names of outputs,
  // which TensorFlow numbers by their names' order: Identity_2 is logits, Identity_3 probabilities.
  const floats = Object.values(model.signature.outputs).filter(({ dtype }) => dtype === "DT_FLOAT");
  const names = floats.map(({ name }) => name).sort();
  const { shape, values } = JSON.parse(fs.readFileSync(given));
  const found = loaded.execute({ "images:0": tf.tensor(values, shape) }, names);
  fs.writeFileSync(into, JSON.stringify(found.map((one) => one.arraySync())));
})();
"""
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


def run(command: Sequence[str | Path], folder: Path, **environment: str) -> None:
    """Runs a program in a folder."""
    done = subprocess.run(
        command, cwd=folder, env=os.environ | environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_runtime_gives_the_same(
    runtime: str, files: Path, expected: Callable[[str], list[np.ndarray]], tmp_path: Path
) -> None:
    requirements, program, names = RUNTIMES[runtime]
    python = environments.installed(tmp_path / "venv", *requirements)
    (tmp_path / "program.py").write_text(program)
    for name in names:
        np.savez(tmp_path / "inputs.npz", **INPUTS[name])
        run([python, "program.py", files / name, "inputs.npz", "outputs.npz"], tmp_path)
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


def test_tensorflow_js_predicts(network: keras.Model, tmp_path: Path) -> None:
    if shutil.which("npm") is None:
        pytest.skip("needs Node.js and npm")
    fetched = subprocess.run(
        ["npm", "install", "--silent", "--ignore-scripts", "@tensorflow/tfjs@4.22.0"], cwd=tmp_path
    )
    if fetched.returncode:
        pytest.skip("npm has no @tensorflow/tfjs here")
    # tensorflow-hub imports pkg_resources, which setuptools had until then.
    packages = ("tensorflowjs", "tf_keras", "tensorflow-hub", "setuptools<81")
    beside = environments.beside_ours(tmp_path / "beside", *packages)
    saved_model._write_saved_model(network, tmp_path / "model", ["x"] * 10, bits=None)
    options = ["--input_format=tf_saved_model", "--signature_name=serving_default"]
    run(
        [sys.executable, "-c", CONVERT_TO_JS, *options, "model", "js"],
        tmp_path,
        PYTHONPATH=str(beside),
    )
    (tmp_path / "program.js").write_text(JAVASCRIPT)
    given = {"shape": IMAGES.shape, "values": IMAGES.ravel().tolist()}
    (tmp_path / "images.json").write_text(json.dumps(given))
    run(["node", "program.js", "js", "images.json", "found.json"], tmp_path)
    found = json.loads((tmp_path / "found.json").read_text())
    logits = network(IMAGES).numpy()
    for one, other in zip(found, (logits, tf.nn.softmax(logits)), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-4)
