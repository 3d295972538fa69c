"""Backbones of keras-hub, with their trained weights. keras-hub is an extra of this package."""

from typing import Any

import keras
import numpy as np

from tfrobust.datasets import DatasetInfo
from tfrobust.errors import InputError, reason_of
from tfrobust.runs.applications import FIELD, normalised, quicken


def backbone(preset: str, info: DatasetInfo) -> keras.Model:
    """A backbone of keras-hub for a data set, with an average pool and a new last layer.

    Images are scaled as the preset says it. A grey image is taken as three equal channels.

    Args:
        preset: as keras-hub names it, such as "resnet_18_imagenet", which it downloads, or a folder
            of one.
        info: of the data set.

    Returns:
        Images (B, H, W, C) in [0, 1] → logits (B, K).

    Raises:
        InputError: keras-hub is not installed, the preset cannot be had, or it is of no network
            that takes images of this size.
    """
    try:
        import keras_hub
    except ImportError as error:
        raise InputError(
            f"expected keras-hub to be installed for `{FIELD}` keras_hub:{preset} ({error}): "
            "pip install tfrobust[keras-hub]"
        ) from None
    images = keras.Input(info.image_shape, name="images")
    try:
        body = keras_hub.models.Backbone.from_preset(preset)
        converter = keras_hub.layers.ImageConverter.from_preset(preset)
        features = body(normalised(images, *_scale(converter)))
    except InputError:
        raise
    except Exception as error:  # a download or a layer may fail in many ways
        raise InputError(
            f"expected keras_hub:{preset} to be a backbone of images {tuple(info.image_shape)}, a "
            f"preset that can be downloaded or a folder of one, but: {reason_of(error)}"
        ) from None
    pools = {3: keras.layers.GlobalAveragePooling1D, 4: keras.layers.GlobalAveragePooling2D}
    if len(getattr(features, "shape", ())) not in pools:
        raise InputError(f"expected keras_hub:{preset} to give features of an image, not a text")
    pooled = pools[len(features.shape)]()(features)
    network = keras.Model(images, keras.layers.Dense(info.num_classes, name="logits")(pooled))
    quicken(network)
    return network


def _scale(converter: Any) -> tuple[list[float], list[float]]:
    """The mean and the deviation in [0, 1] of a preset, which says scale·255·image + offset."""
    scale = np.broadcast_to(1.0 if converter.scale is None else converter.scale, 3) * 255.0
    offset = np.broadcast_to(0.0 if converter.offset is None else converter.offset, 3)
    return (-offset / scale).tolist(), (1 / scale).tolist()
