"""PyTorch modules and ONNX graphs read into PyTorch: the logits, gradients and ARA of the Keras
network that they equal."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import keras
import numpy as np
import onnx
import pytest
import tensorflow as tf
import tf2onnx
from networks import CLASSES, FILTERS, SHAPE, of_channels, plain, sequential, weights
from onnx import helper

import tfrobust
from tfrobust.core.classifier import Classifier, compiled
from tfrobust.core.door import as_classifier
from tfrobust.core.gradients import input_gradient
from tfrobust.core.loading import load
from tfrobust.core.opaque import Opaque
from tfrobust.errors import InputError
from tfrobust.robustness.evaluate import evaluate

torch = pytest.importorskip("torch", reason="PyTorch, of the extra torch, is not installed")

IMAGES = np.random.default_rng(0).random((12, *SHAPE), np.float32)
LABELS = np.asarray(plain()(IMAGES)).argmax(axis=1)


class Twin(torch.nn.Module):
    """The network that `networks.plain` is, as PyTorch has it."""

    def __init__(self, *, scale: float = 1.0, softmax: bool = False) -> None:
        super().__init__()
        kernel, bias, dense, last = map(torch.tensor, weights())
        self.conv = torch.nn.Conv2d(1, FILTERS, 3)
        self.dense = torch.nn.Linear(len(dense), CLASSES)
        self.noise = torch.nn.Dropout(0.9)
        self.scale, self.softmax = scale, softmax
        with torch.no_grad():
            self.conv.weight.copy_(kernel.permute(3, 2, 0, 1))
            self.conv.bias.copy_(bias)
            self.dense.weight.copy_(dense.T)
            self.dense.bias.copy_(last)

    def forward(self, images: Any) -> Any:
        values = torch.nn.functional.softplus(self.conv(images * self.scale))
        values = self.dense(self.noise(values.permute(0, 2, 3, 1).flatten(1)))
        return values.softmax(1) if self.softmax else values


def cross_entropy(logits: tf.Tensor) -> tf.Tensor:
    return tf.nn.sparse_softmax_cross_entropy_with_logits(LABELS, logits)


@compiled
def asked(classifier: Classifier, images: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    return input_gradient(classifier, images, cross_entropy)


def equals_plain(classifier: Classifier) -> None:
    """The same logits, up to one number for each image, and the same gradients."""
    images = tf.constant(IMAGES)
    expected = input_gradient(as_classifier(plain()), images, cross_entropy)
    assert classifier.has_gradient and classifier.check(IMAGES) == CLASSES
    for ask in (asked, lambda model, images: input_gradient(model, images, cross_entropy)):
        logits, slope = ask(classifier, images)
        np.testing.assert_allclose(tf.nn.softmax(logits), tf.nn.softmax(expected[0]), atol=1e-5)
        np.testing.assert_allclose(slope, expected[1], atol=1e-5)


def equal_areas(model: Any) -> None:
    reports = [
        evaluate(one, IMAGES, LABELS, preset="fast", progress=False) for one in (plain(), model)
    ]
    one, other = (report.attack_rmse for report in reports)
    np.testing.assert_allclose(other, one, rtol=1e-2)
    assert reports[1].attack_ara.value == pytest.approx(reports[0].attack_ara.value, rel=1e-3)
    assert not reports[1].checks["attacks followed gradients"]


def test_a_module_is_its_twin() -> None:
    module = Twin().train()
    classifier = as_classifier(module)
    equals_plain(classifier)
    assert not module.training
    # A compiled program asks once for the answers and for their gradient.
    asks = []
    hook = module.register_forward_hook(lambda *_: asks.append(True))
    for images in (IMAGES, IMAGES[::-1].copy()):
        asked(classifier, tf.constant(images))
    assert len(asks) == 2
    hook.remove()
    equal_areas(module)


def test_a_module_is_explained_as_its_twin() -> None:
    one, other = (tfrobust.explain(model, IMAGES, rho=0.05) for model in (plain(), Twin()))
    np.testing.assert_array_equal(other.target, one.target)
    np.testing.assert_allclose(other.confidence_before, one.confidence_before, atol=1e-5)
    np.testing.assert_allclose(other.confidence_after, one.confidence_after, atol=5e-3)


def test_a_module_has_a_name_in_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    lines = ("from torch import nn", "net = nn.Sequential(nn.Flatten(), nn.Linear(48, 3))")
    (tmp_path / "torch_twin.py").write_text("\n".join(lines))
    found = as_classifier(load("python:torch_twin:net"))
    assert found.check(IMAGES) == 3 and found.has_gradient


def test_what_is_said_of_it_is_heard() -> None:
    equals_plain(as_classifier(Twin(scale=1 / 255), input_range=(0, 255)))
    equals_plain(as_classifier(Twin(softmax=True), output="softmax"))
    with pytest.raises(InputError, match="probabilities that sum to 1 from Twin"):
        as_classifier(Twin(softmax=True)).check(IMAGES)
    one = as_classifier(Twin(), label=2)
    np.testing.assert_allclose(one(IMAGES)[:, 1], plain()(IMAGES)[:, 2], atol=1e-5)
    assert "answered by PyTorch" in repr(one)


def test_it_is_told_apart_by_its_weights() -> None:
    one, same, other = Twin(), Twin(), Twin()
    with torch.no_grad():
        other.dense.bias += 1
    told = [as_classifier(module).config() for module in (one, same, other)]
    assert told[0] == told[1] != told[2]
    half = as_classifier(other.bfloat16())
    assert half.config() not in told
    np.testing.assert_allclose(half(IMAGES), plain()(IMAGES) + 1, rtol=0.05, atol=0.05)


def test_rounding_has_no_gradient() -> None:
    found = as_classifier(lambda images: images[:, 0, :3, 0])
    module = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Threshold(2.0, 0.0))
    _, slope = input_gradient(as_classifier(module), tf.constant(IMAGES), cross_entropy)
    assert found.has_gradient and not np.any(slope)


def converted(network: keras.Model, path: Path, *, batch: int | None = None) -> Path:
    spec = tf.TensorSpec((batch, *SHAPE), tf.float32, "images")
    asked = tf.function(lambda images: network(images, training=False))
    model, _ = tf2onnx.convert.from_function(asked, input_signature=[spec], opset=17)
    onnx.save(model, path)
    return path


@pytest.fixture
def onnx2torch() -> None:
    if find_spec("onnx2torch") is None:  # to import it is the reader's, which does it with care
        pytest.skip("onnx2torch, of the extra torch, is not installed")


@pytest.mark.usefixtures("onnx2torch")
@pytest.mark.parametrize(
    ("activation", "batch"), [(None, None), ("softmax", None), (None, 5), ("softmax", 1)]
)
def test_an_onnx_file_has_gradients(activation: Any, batch: int | None, tmp_path: Path) -> None:
    network = sequential(activation=activation)
    found = load(converted(network, tmp_path / "x.onnx", batch=batch))
    equals_plain(as_classifier(found))
    if batch is None:
        equal_areas(found)


@pytest.mark.usefixtures("onnx2torch")
def test_a_softmax_that_is_rounded_to_1_is_taken_off(tmp_path: Path) -> None:
    network = sequential(activation="softmax")
    network.set_weights([300 * array for array in network.get_weights()])
    assert network.predict(IMAGES, verbose=0).max(axis=1).min() == 1
    found = load(converted(network, tmp_path / "x.onnx"))
    _, slope = input_gradient(found, tf.constant(IMAGES), lambda logits: logits[:, 0])
    assert np.abs(slope).max() > 1


@pytest.mark.usefixtures("onnx2torch")
def test_one_sigmoid(tmp_path: Path) -> None:
    network = of_channels(1, 1, "sigmoid")
    found = as_classifier(load(converted(network, tmp_path / "x.onnx")))
    assert found.has_gradient and found.check(IMAGES) == 2 and found.task == "binary"
    logits = as_classifier(of_channels(1, 1))(IMAGES)
    np.testing.assert_allclose(found(IMAGES), logits, atol=1e-4)


@pytest.mark.usefixtures("onnx2torch")
def test_channels_first_and_two_outputs(tmp_path: Path) -> None:
    kernel, bias, dense, last = weights()
    held = {"k": kernel.transpose(3, 2, 0, 1), "b": bias, "d": dense, "l": last}
    nodes = [
        helper.make_node("Conv", ["images", "k", "b"], ["c"]),
        helper.make_node("Softplus", ["c"], ["s"]),
        helper.make_node("Transpose", ["s"], ["t"], perm=[0, 2, 3, 1]),
        helper.make_node("Flatten", ["t"], ["f"]),
        helper.make_node("Gemm", ["f", "d", "l"], ["logits"]),
    ]
    kind = onnx.TensorProto.FLOAT
    shapes = {"logits": ["n", CLASSES], "t": ["n", 6, 4, FILTERS]}
    graph = helper.make_graph(
        nodes,
        "twin",
        [helper.make_tensor_value_info("images", kind, ["n", 1, *SHAPE[:2]])],
        [helper.make_tensor_value_info(name, kind, shape) for name, shape in shapes.items()],
        [onnx.numpy_helper.from_array(np.ascontiguousarray(a), name) for name, a in held.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, tmp_path / "x.onnx")
    equals_plain(as_classifier(load(tmp_path / "x.onnx")))


@pytest.mark.usefixtures("onnx2torch")
def test_several_sigmoids_are_still_asked_about(tmp_path: Path) -> None:
    found = load(converted(sequential(activation="sigmoid"), tmp_path / "x.onnx"))
    with pytest.raises(InputError, match="ends with 3 sigmoids"):
        as_classifier(found).check(IMAGES)
    one = as_classifier(found, label=1)
    assert one.has_gradient
    two = load(converted(of_channels(1, 2, "sigmoid"), tmp_path / "two.onnx"))
    with pytest.raises(InputError, match="ends with 2 sigmoids"):
        as_classifier(two).check(IMAGES)
    np.testing.assert_allclose(one(IMAGES)[:, 1], plain()(IMAGES)[:, 1], atol=1e-3)


@pytest.mark.usefixtures("onnx2torch")
def test_what_pytorch_cannot_read_is_asked_without_gradients(tmp_path: Path) -> None:
    images = keras.Input(SHAPE)
    mirrored = keras.Model(images, plain()(keras.ops.flip(images, axis=2)))
    found = load(converted(mirrored, tmp_path / "x.onnx"))
    assert isinstance(found, Opaque)
    np.testing.assert_allclose(found(IMAGES), mirrored(IMAGES), atol=1e-4)
