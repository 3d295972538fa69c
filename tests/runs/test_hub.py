"""Backbones of keras-hub, where it is installed."""

import importlib.util
from pathlib import Path

import keras
import numpy as np
import pytest
from small_runs import INFO

from tfrobust.errors import InputError
from tfrobust.runs.hub import backbone


@pytest.mark.skipif(
    importlib.util.find_spec("keras_hub") is not None, reason="keras-hub is installed"
)
def test_without_keras_hub_it_is_named() -> None:
    with pytest.raises(InputError, match=r"keras-hub .* pip install tfrobust\[keras-hub\]"):
        backbone("resnet_18_imagenet", INFO)


def test_a_preset_s_backbone_sees_what_it_was_trained_on(tmp_path: Path) -> None:
    hub = pytest.importorskip("keras_hub", reason="needs keras-hub, an extra")
    body = hub.models.ResNetBackbone(
        input_conv_filters=[64],
        input_conv_kernel_sizes=[7],
        stackwise_num_filters=[64, 64],
        stackwise_num_blocks=[1, 1],
        stackwise_num_strides=[1, 2],
        block_type="basic_block",
        image_shape=(None, None, 3),
    )
    scale, offset = [0.01, 0.02, 0.03], [-0.5, 0.0, 0.5]
    converter = hub.layers.ResNetImageConverter(image_size=(32, 32), scale=scale, offset=offset)
    preset = str(tmp_path / "preset")
    body.save_to_preset(preset)
    hub.models.ResNetImageClassifierPreprocessor(image_converter=converter).save_to_preset(preset)
    network = backbone(preset, INFO)
    images = np.random.default_rng(0).random((2, 32, 32, 3), np.float32)
    features = keras.ops.mean(body(converter(255 * images)), axis=(1, 2))
    kernel, bias = (np.asarray(part) for part in network.get_layer("logits").weights)
    # float32 through a few layers.
    np.testing.assert_allclose(network(images), features @ kernel + bias, rtol=1e-3, atol=1e-4)
    with pytest.raises(InputError, match="expected keras_hub:/nowhere to be a backbone of images"):
        backbone("/nowhere", INFO)
