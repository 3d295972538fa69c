"""Keras loads our files after `import tfrobust` alone, in whatever order things are imported."""

import importlib
import pkgutil
import subprocess
import sys
from pathlib import Path

import keras
import pytest

import tfrobust
from tfrobust.core import registration
from tfrobust.core.registration import Deferred
from tfrobust.models import resnet_cifar
from tfrobust.training import InputGradientPenalty, L2Walk, RobustClassifier
from tfrobust.training.optimizer import L2SGD

LOAD = "c = keras.models.load_model({path!r}); print(type(c).__name__, c.penalty.tandem)"


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    network = resnet_cifar(
        depth=8, width=4, num_classes=3, input_shape=(8, 8, 1), activation="half_huber_relu"
    )
    classifier = RobustClassifier(
        network, penalty=InputGradientPenalty(tandem=0.5), adversarial=L2Walk()
    )
    classifier.compile(optimizer=L2SGD(0.1))
    path = tmp_path_factory.mktemp("saved") / "classifier.keras"
    classifier.save(path)
    return path


@pytest.mark.parametrize(
    "imports",
    [
        "import tfrobust, keras",
        pytest.param("import keras, tfrobust", marks=pytest.mark.slow),
        pytest.param("import tensorflow, tfrobust, keras", marks=pytest.mark.slow),
        # TensorFlow imports Keras, and here a module of ours is half imported at that time.
        pytest.param("import tfrobust.core.criteria, keras", marks=pytest.mark.slow),
        pytest.param("import tfrobust.training.ball, keras", marks=pytest.mark.slow),
        pytest.param("import tfrobust.core.layers, keras", marks=pytest.mark.slow),
    ],
)
def test_a_saved_classifier_loads_after_the_import_alone(file: Path, imports: str) -> None:
    code = f"{imports}; {LOAD.format(path=str(file))}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd="/")
    assert done.stdout.split() == ["RobustClassifier", "0.5"], done.stderr[-2000:]


def test_every_class_that_is_saved_is_named() -> None:
    for module in pkgutil.walk_packages(tfrobust.__path__, "tfrobust."):
        if module.name.startswith(("tfrobust.training.", "tfrobust.models.", "tfrobust.core.")):
            importlib.import_module(module.name)
    registered = keras.saving.get_custom_objects()
    ours = {name: kind for name, kind in registered.items() if name.startswith("tfrobust>")}
    assert not [name for name, kind in ours.items() if isinstance(kind, Deferred)]
    named = {f"tfrobust>{name}": module for name, module in registration.CLASSES.items()}
    for name, kind in ours.items():
        assert named.get(name, registration.LAYERS) == kind.__module__
