"""explainer.onnx: the gradients of layers, the whole walk, and a program without TensorFlow."""

import json
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import onnxruntime
import pytest
import tensorflow as tf
from marks import quick
from onnx import load as load_onnx
from onnx import numpy_helper
from PIL import Image

import tfrobust
from tfrobust.core.door import as_classifier
from tfrobust.exporting import onnx, onnx_conversion, onnx_loops
from tfrobust.exporting.onnx_nodes import NotConvertible
from tfrobust.exporting.signatures import explain_inputs, explainer
from tfrobust.models import HalfHuberReLU

layers = keras.layers
LAYERS = {
    "strided": lambda: [layers.Conv2D(4, 3, strides=2, padding="same"), HalfHuberReLU()],
    "valid": lambda: [layers.Conv2D(4, 3, strides=2), layers.ReLU()],
    "dilated": lambda: [layers.Conv2D(4, 3, dilation_rate=2), layers.Activation("tanh")],
    "sigmoid": lambda: [layers.Conv2D(4, 3), layers.Activation("sigmoid")],
    "depthwise": lambda: [layers.DepthwiseConv2D(3, depth_multiplier=2), layers.ELU()],
    "average pool": lambda: [layers.AveragePooling2D(3, strides=2, padding="same")],
    "max pool": lambda: [layers.Conv2D(4, 3), layers.MaxPooling2D(2)],
    "overlapping max pool": lambda: [layers.MaxPooling2D(3, strides=2, padding="same")],
    "normalised": lambda: [layers.Conv2D(4, 3), layers.BatchNormalization(), layers.ReLU()],
    "padded": lambda: [layers.ZeroPadding2D(2), layers.Conv2D(4, 3), layers.LeakyReLU()],
    # The beginning of our ImageNet networks.
    "padded between": lambda: [
        layers.ZeroPadding2D(3),
        layers.Conv2D(4, 7, strides=2),
        layers.ZeroPadding2D(1),
        layers.AveragePooling2D(3, strides=2),
    ],
    "transposed": lambda: [
        layers.Conv2DTranspose(4, 3, strides=2, padding="same"),
        layers.Conv2DTranspose(4, 3, strides=2),
        layers.Conv2DTranspose(3, 3, dilation_rate=2),
    ],
    "grouped": lambda: [layers.Conv2D(4, 3, groups=2, strides=2, padding="same")],
    # Of EfficientNet, whose mean and variance are no weights.
    "scaled": lambda: [layers.Normalization(mean=[0.4, 0.5], variance=[0.1, 0.2])],
    "normalised by itself": lambda: [
        layers.GroupNormalization(2),
        layers.UnitNormalization(),
        layers.RMSNormalization(),
        layers.Conv2D(4, 3),
        layers.LayerNormalization(),
    ],
    "activations": lambda: [
        layers.Conv2D(4, 3),
        *(
            layers.Activation(name)
            for name in ("gelu", "selu", "softsign", "celu", "squareplus", keras.ops.log1p)
        ),
    ],
    "softplus": lambda: [layers.Conv2D(4, 3), layers.Activation("softplus"), layers.ReLU(6.0)],
    "one after another": lambda: [
        layers.Normalization(mean=[0.4, 0.5], variance=[0.1, 0.2]),
        layers.Conv2D(4, 3, padding="same"),
        HalfHuberReLU(),
        layers.DepthwiseConv2D(3, depth_multiplier=2),
        layers.ELU(),
        layers.ZeroPadding2D(2),
        layers.AveragePooling2D(3, strides=1, padding="same"),
        layers.Conv2D(4, 3, dilation_rate=2),
        layers.BatchNormalization(),
        layers.LeakyReLU(),
        layers.Conv2DTranspose(4, 3, strides=2, padding="same"),
        layers.Conv2D(4, 3, groups=2, strides=2, padding="same"),
        layers.Activation("sigmoid"),
    ],
}


def mixed_shapes() -> keras.Model:
    """Pieces that are cut out, joined, mirrored and resized; the last axes go backwards."""
    images = keras.Input((9, 8, 2))
    both = layers.Concatenate()([images, layers.Conv2D(3, 3, padding="same")(images)])
    cut = keras.ops.flip(layers.Cropping2D(((1, 0), (0, 2)))(both)[:, ::2, ..., ::-1], 2)
    mirrored = keras.ops.pad(cut, [[0, 0], [1, 2], [0, 1], [0, 0]], mode="reflect")
    larger = layers.UpSampling2D(2, interpolation="bilinear")(mirrored)
    nearest = layers.Resizing(5, 7, interpolation="nearest")(larger)
    return keras.Model(images, layers.Dense(3)(layers.Flatten()(nearest)))


def attention(perceptron: bool = False) -> keras.Model:
    """A block of a vision transformer."""
    images = keras.Input((8, 8, 2))
    patches = layers.Reshape((16, 8))(layers.Conv2D(8, 2, strides=2)(images))
    normal = layers.LayerNormalization()(patches)
    seen = layers.Add()([patches, layers.MultiHeadAttention(2, 4)(normal, normal)])
    if perceptron:
        dense = layers.Dense(8)(layers.Dense(16, activation="gelu")(seen))
        seen = layers.Add()([seen, dense])
    return keras.Model(images, layers.Dense(3)(layers.GlobalAveragePooling1D()(seen)))


def sequential(*parts: keras.layers.Layer) -> keras.Model:
    return keras.Sequential(
        [keras.Input((9, 8, 2)), *parts, layers.GlobalAveragePooling2D(), layers.Dense(3)]
    )


NETWORKS = {
    **{name: lambda make=make: sequential(*make()) for name, make in LAYERS.items()},
    "attention": attention,
    "attention and a perceptron": lambda: attention(perceptron=True),
    "mixed shapes": mixed_shapes,
}

# TensorFlow without oneDNN, as on some CPUs, has no transposed convolutions with dilation.
BY_XLA = ("transposed",)


@pytest.mark.parametrize(
    "kind", quick(NETWORKS, "one after another", "max pool", "attention", "mixed shapes")
)
def test_answers_and_gradients_of_layers(kind: str, tmp_path: Path) -> None:
    keras.utils.set_random_seed(0)
    network = NETWORKS[kind]()
    onnx.write_classifier(network, tmp_path / "c.onnx", class_names=["a", "b", "c"])
    classifying = onnxruntime.InferenceSession(str(tmp_path / "c.onnx"))
    onnx.write_explainer(network, tmp_path / "e.onnx", class_names=["a", "b", "c"])
    explaining = onnxruntime.InferenceSession(str(tmp_path / "e.onnx"))
    names = [output.name for output in explaining.get_outputs()]
    assert names == list(onnx.EXPLAINER)
    function = tf.function(
        explainer(as_classifier(network)),
        input_signature=explain_inputs(network.input_shape),
        autograph=False,
        jit_compile=kind in BY_XLA,
    )
    asked = tf.function(network, jit_compile=True) if kind in BY_XLA else network
    rng = np.random.default_rng(0)
    for count in (1, 3):
        inputs = {
            "images": rng.random((count, *network.input_shape[1:]), np.float32),
            "target": np.arange(count, dtype=np.int32) - 1,
            "direction": np.ones(count, np.int32),
            # With a rho of 0 the gradient is the image's.
            "rho": np.zeros(count, np.float32),
        }
        (logits,) = classifying.run(["logits"], {"images": inputs["images"]})
        own = np.asarray(asked(inputs["images"], training=False))
        np.testing.assert_allclose(logits, own, atol=1e-5 * max(1, np.abs(own).max()))
        found = dict(zip(names, explaining.run(names, inputs), strict=True))
        expected = function(*map(tf.constant, inputs.values()))
        gradient = expected["gradient"].numpy()
        assert np.abs(gradient).max() > 1e-4
        # Sums in another order round differently in float32.
        np.testing.assert_allclose(found["gradient"], gradient, atol=1e-5 * np.abs(gradient).max())
        np.testing.assert_array_equal(found["class_id"], expected["target"])


def test_layers_that_have_no_form_are_named(tmp_path: Path) -> None:
    bicubic = {"interpolation": "bicubic"}
    network = sequential(
        layers.Resizing(6, 6, name="smaller", **bicubic),
        layers.Resizing(7, 7, name="smaller_1", **bicubic),
    )
    onnx.write_classifier(network, tmp_path / "c.onnx", class_names=["a", "b", "c"])
    with pytest.raises(NotConvertible) as caught:
        onnx.write_explainer(network, tmp_path / "e.onnx", class_names=["a", "b", "c"])
    told = str(caught.value)
    assert "smaller: ResizeBicubicGrad" in told and "smaller_1: ResizeBicubicGrad" in told
    assert [path.name for path in tmp_path.iterdir()] == ["c.onnx"]


@pytest.mark.slow
def test_a_layer_whose_shape_is_unknown_is_named(tmp_path: Path) -> None:
    network = sequential(layers.TimeDistributed(layers.Dense(2), name="rows"))
    with pytest.raises(NotConvertible, match=r"rows: StridedSliceGrad \(a shape is not known"):
        onnx.write_explainer(network, tmp_path / "e.onnx", class_names=["a", "b", "c"])


def test_a_large_graph_is_left_to_the_runtime(tmp_path: Path, monkeypatch) -> None:
    keras.utils.set_random_seed(0)
    network = sequential(layers.Conv2D(4, 3), layers.ReLU())
    answers = []
    for most in (onnx_conversion.MOST_NODES, 0):
        monkeypatch.setattr(onnx_conversion, "MOST_NODES", most)
        onnx.write_classifier(network, tmp_path / "c.onnx", class_names=["a", "b", "c"])
        running = onnxruntime.InferenceSession(str(tmp_path / "c.onnx"))
        answers.append(running.run(["logits"], {"images": np.full((2, 9, 8, 2), 0.3, np.float32)}))
    np.testing.assert_allclose(*answers, atol=1e-6)


def test_each_weight_stands_in_the_file_once(network, version) -> None:
    weights = sum(weight.nbytes for weight in network.get_weights())
    for name in ("classifier.onnx", "explainer.onnx"):
        kept = constant_bytes(version / name)
        # Beside the weights there are only small constants such as axes and shapes.
        assert weights <= kept < weights + 5000, name


def test_the_loop_hands_on_its_place_alone(version) -> None:
    graph = load_onnx(str(version / "explainer.onnx")).graph
    (loop,) = [node for node in graph.node if node.op_type == "Loop"]
    # The number of rounds, whether to go on, the counters of TensorFlow, and where the walk stands.
    assert len(loop.input) <= 5
    kinds = {node.op_type for node in onnx_loops.all_nodes(graph)}
    # Not every runtime knows it. Strided convolutions alone need the other.
    assert "ReverseSequence" not in kinds and "ConvTranspose" in kinds


def constant_bytes(path: Path) -> int:
    """The size of a file's constants in bytes."""
    graph = load_onnx(str(path)).graph
    return sum(numpy_helper.to_array(constant).nbytes for constant in graph.initializer)


def test_the_whole_walk(network, version, images) -> None:
    running = onnxruntime.InferenceSession(str(version / "explainer.onnx"))
    names = [output.name for output in running.get_outputs()]
    inputs = {
        "images": images,
        "target": np.array([-1, 0, 1, 2, 2], np.int32),
        "direction": np.array([1, 1, -1, 1, -1], np.int32),
        "rho": np.array([0.1, 0.02, 0.05, 0.1, 0.1], np.float32),
    }
    found = dict(zip(names, running.run(names, inputs), strict=True))
    told = as_classifier(network).at_temperature(1.7)  # that of the export
    expected = tfrobust.explain(
        told, images, inputs["target"], rho=inputs["rho"], direction=inputs["direction"]
    )
    off = np.sqrt(np.mean((found["explanation"] - expected.explanation) ** 2, axis=(1, 2, 3)))
    assert off.max() < 1e-3
    np.testing.assert_allclose(found["rmse"], expected.rmse, atol=1e-3)
    np.testing.assert_allclose(found["confidence_after"], expected.confidence_after, atol=1e-3)
    for of in (tfrobust.explanations.VanillaGradients(), tfrobust.explanations.SmallestChange()):
        shown = of(told, images, inputs["target"])
        shares = tf.nn.softmax(network(images) / 1.7).numpy()[range(5), shown.target]
        np.testing.assert_allclose(shown.confidence_before, shares, atol=1e-6)
    told = running.get_modelmeta().custom_metadata_map
    assert json.loads(told["class_names"]) == ["cat", "dog", "ship"]
    assert json.loads(told["card"])["provenance"] == "Made-up images."


def test_a_program_explains_without_tensorflow(root: Path, tmp_path: Path) -> None:
    keras.utils.set_random_seed(1)
    network = keras.Sequential(
        [
            keras.Input((12, 10, 3)),
            layers.Conv2D(4, 3),
            layers.ReLU(),
            layers.Flatten(),
            layers.Dense(3),
        ]
    )
    version, names = tmp_path / "1", ["cat", "dog", "ship"]
    version.mkdir()
    onnx.write_classifier(network, version / "classifier.onnx", class_names=names)
    onnx.write_explainer(network, version / "explainer.onnx", class_names=names)
    pixels = np.random.default_rng(0).integers(0, 256, (30, 40, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "x.png")
    program = (root / "examples" / "onnx_explain.py").read_text()
    (tmp_path / "program.py").write_text(
        program.replace("    main()\n", "    main()\n    assert 'tensorflow' not in sys.modules\n")
    )
    command = [sys.executable, tmp_path / "program.py", version, tmp_path / "x.png"]
    command += ["--target", "dog", "--output", tmp_path / "out.png"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "dog: " in done.stdout and done.stdout.count("%") == 5
    with Image.open(tmp_path / "out.png") as drawn:
        assert drawn.size == (30, 12)
    wrong = subprocess.run([*command[:3], tmp_path / "no.png"], capture_output=True, text=True)
    assert wrong.returncode == 1 and wrong.stderr.startswith("error: expected a picture")
