"""Large networks of keras.applications, and a vision transformer, in all forms."""

import json
import time
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest

from tfrobust.exporting.saved_model import export

layers = keras.layers
CORES, MINUTES = 2, 2


def application(name: str, size: int) -> Callable[[], keras.Model]:
    return lambda: getattr(keras.applications, name)(
        weights=None, input_shape=(size, size, 3), classes=10, classifier_activation=None
    )


@keras.saving.register_keras_serializable()
class Positions(layers.Layer):
    """Adds a vector to each place."""

    def build(self, shape: tuple[int, ...]) -> None:
        self.vectors = self.add_weight(shape=shape[1:], name="vectors")

    def call(self, inputs: keras.KerasTensor) -> keras.KerasTensor:
        return inputs + self.vectors


def vision_transformer() -> keras.Model:
    images = keras.Input((32, 32, 3))
    seen = Positions()(layers.Reshape((64, 32))(layers.Conv2D(32, 4, strides=4)(images)))
    for _ in range(4):
        normal = layers.LayerNormalization()(seen)
        seen = layers.Add()([seen, layers.MultiHeadAttention(4, 8)(normal, normal)])
        normal = layers.LayerNormalization()(seen)
        dense = layers.Dense(32)(layers.Dense(64, activation="gelu")(normal))
        seen = layers.Add()([seen, dense])
    pooled = layers.GlobalAveragePooling1D()(layers.LayerNormalization()(seen))
    return keras.Model(images, layers.Dense(10)(pooled))


def depthwise_layers(network: keras.Model) -> int:
    return sum(isinstance(one, layers.DepthwiseConv2D) for one in network._flatten_layers())


NETWORKS = {
    "EfficientNetB0": application("EfficientNetB0", 32),
    "MobileNetV3Small": application("MobileNetV3Small", 32),
    "ConvNeXtTiny": application("ConvNeXtTiny", 32),
    "ResNet50": application("ResNet50", 32),
    "vision transformer": vision_transformer,
}


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_a_large_network_is_exported_in_two_minutes(name: str, tmp_path: Path) -> None:
    keras.utils.set_random_seed(0)
    network = NETWORKS[name]()
    images = np.random.default_rng(0).random((16, 32, 32, 3), np.float32)
    # The processor's time, for others may be at work on the machine.
    began = time.process_time()
    version = export(
        network,
        tmp_path,
        class_names=[str(number) for number in range(10)],
        reference_images=images,
        explainer=False,
    )
    assert time.process_time() - began < CORES * MINUTES * 60
    told = json.loads((version / "model_card.json").read_text())
    assert told["left_out"] == {"explainer.onnx": "not asked for"}
    assert told["parity"]["onnx"] <= told["parity"]["tolerance"]
    # ConvNeXt's grouped convolutions are depthwise ones in what is served, and itself is kept.
    assert b"_XlaMustCompile" not in (version / "saved_model.pb").read_bytes()
    kept = keras.saving.load_model(version / "network.keras")
    assert depthwise_layers(kept) == depthwise_layers(network)


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_a_large_network_explains_in_onnx(name: str, tmp_path: Path) -> None:
    keras.utils.set_random_seed(0)
    version = export(
        NETWORKS[name](),
        tmp_path,
        class_names=[str(number) for number in range(10)],
        forms=["explainer"],
    )
    told = json.loads((version / "model_card.json").read_text())
    assert "explainer.onnx" not in told["left_out"]
    assert 0 < told["parity"]["gradient_onnx"] <= 1e-3
