"""A small network and an export of it. No test changes them."""

from pathlib import Path

import keras
import numpy as np
import pytest

from tfrobust.exporting.saved_model import export
from tfrobust.models import resnet_cifar

CLASSES = ["cat", "dog", "ship"]
FIGURES = {
    "clean accuracy": 0.5,
    "attack ARA": {"value": 0.0123, "low": 0.01, "high": 0.02, "attacks": ["L2,min", "PGD|L2"]},
}


@pytest.fixture(scope="session")
def network():
    keras.utils.set_random_seed(0)
    network = resnet_cifar(depth=8, width=4, num_classes=3, input_shape=(12, 10, 2))
    rng = np.random.default_rng(0)
    for variable in network.variables:
        # Convolutions of zeros and initial statistics would hide missing weights.
        if variable.path.endswith("kernel") and not np.any(variable.numpy()):
            variable.assign(rng.normal(0, 0.2, variable.shape))
        elif variable.path.endswith("moving_mean"):
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
        )

    return made_once("exported", write) / "tiny" / "1"
