"""A small network and an export of it. No test changes them."""

from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers

from tfrobust.exporting.saved_model import export
from tfrobust.models import HalfHuberReLU, InputNormalization

CLASSES = ["cat", "dog", "ship"]
FIGURES = {
    "clean accuracy": 0.5,
    "attack ARA": {"value": 0.0123, "low": 0.01, "high": 0.02, "attacks": ["L2,min", "PGD|L2"]},
}


@pytest.fixture(scope="session")
def network():
    keras.utils.set_random_seed(1)
    # The layers of our ResNets, but few: every form of an export compiles all of them.
    images = keras.Input((12, 10, 2))
    features = InputNormalization([0.5, 0.4], [0.25, 0.2])(images)
    features = layers.Conv2D(4, 3, padding="same", use_bias=False)(features)
    active = HalfHuberReLU()(layers.BatchNormalization()(features))
    padded = layers.ZeroPadding2D(1)(active)
    block = layers.Conv2D(8, 3, strides=2, use_bias=False)(padded)
    features = layers.Add()([layers.Conv2D(8, 3, strides=2, use_bias=False)(padded), block])
    features = HalfHuberReLU()(layers.BatchNormalization()(features))
    pooled = layers.GlobalAveragePooling2D(keepdims=True)(features)
    network = keras.Model(images, layers.Flatten()(layers.Conv2D(3, 1)(pooled)))
    rng = np.random.default_rng(0)
    for variable in network.variables:
        # Initial statistics would hide missing weights.
        if variable.path.endswith("moving_mean"):
            variable.assign(rng.normal(0, 0.1, variable.shape))
    return network


@pytest.fixture(scope="session")
def images():
    return np.random.default_rng(1).uniform(size=(5, 12, 10, 2)).astype(np.float32)


@pytest.fixture(scope="session")
def version(network, images, made_once):
    def write(folder: Path) -> None:
        export(
            network,
            folder / "tiny",
            class_names=CLASSES,
            provenance="Made-up images.",
            recipe={"name": "tiny", "epochs": 1, "learning_rate_drops": (0.7,)},
            figures=FIGURES,
            reference_images=images,
            temperature=1.7,
        )

    return made_once("exported", write) / "tiny" / "1"
