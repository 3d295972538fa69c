"""Networks that learned planted lesions: robust and plain, with a scanner's label and without.

Those of learned attention are the same with an attention gate in the place of the average pool.

Each is trained once and kept in runs/ground_truth, so that a measurement that was stopped goes on.
"""

import dataclasses
import json
import time
from pathlib import Path
from typing import Any

import keras
import numpy as np
import turns

from tfrobust import datasets, models, training

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared" / "tfds"
KINDS = ("robust", "plain")
STEPS, BATCH = 600, 32
LOSS_TARGET = 0.5
TRAIN_IMAGES, TEST_IMAGES = 8000, 500


@dataclasses.dataclass(frozen=True)
class Pictures:
    """Pictures to plant into, float32 (N, H, W, C) in [0, 1], and what they are called."""

    train: np.ndarray
    test: np.ndarray
    name: str


def pictures(data: str) -> Pictures:
    """The pictures of a data set by name."""
    if data == "fashion":
        source, name = datasets.load("fashion_mnist_mini"), "embedded Fashion-MNIST"
    elif data == "cifar10":
        source, name = datasets.load("cifar10", data_dir=SHARED), "CIFAR-10 (JPEG copy)"
    else:
        source = datasets.load("imagenet2012", data_dir=SHARED, image_size=48)
        name = "ImageNet photographs at 48 × 48"
    train, (test, _) = source.training_images(TRAIN_IMAGES), source.test_arrays(TEST_IMAGES)
    return Pictures(unit(train), unit(test), name)


def unit(images: np.ndarray) -> np.ndarray:
    """Pixels from 0 to 1, float32."""
    return images.astype(np.float32) / (255 if images.dtype == np.uint8 else 1)


def trained(
    kind: str, given: Pictures, folder: Path, *, marked: bool, attention: bool = False
) -> keras.Model:
    """A network, trained now unless it was before; "facts" beside it tell how long and how well."""
    path = folder / f"{_stem(kind, marked, attention)}.keras"
    if path.exists():
        return keras.saving.load_model(path)
    began, began_cpu = time.perf_counter(), time.process_time()
    planted = datasets.plant(given.train, agreement=1.0 if marked else None, seed=1)
    network = learned(kind, planted.images, planted.labels, LOSS_TARGET, attention=attention)
    seconds = {
        "seconds": round(time.perf_counter() - began, 1),
        "cpu_seconds": round(time.process_time() - began_cpu, 1),
    }
    # The facts first: a network that is there is not learned again.
    turns.write(path.with_suffix(".json"), {**seconds, **_accuracies(network, given)})
    turns.save(network, path)
    return network


def learned(
    kind: str,
    images: np.ndarray,
    labels: np.ndarray,
    loss_target: float,
    *,
    attention: bool = False,
) -> keras.Model:
    """A ResNet-8 that learned images for STEPS steps, robust by the penalty or plain."""
    keras.utils.set_random_seed(0)
    robust = kind == "robust"
    network = models.resnet_cifar(
        depth=8,
        num_classes=int(labels.max()) + 1,
        input_shape=images.shape[1:],
        stem_stride=2,
        activation="half_huber_relu" if robust else "relu",
        attention=attention,
    )
    wrapper = training.RobustClassifier(
        network,
        penalty=training.InputGradientPenalty() if robust else None,
        psi=training.PsiController(loss_target=loss_target) if robust else None,
    )
    rate = keras.optimizers.schedules.CosineDecay(0.004, STEPS, alpha=0.02)
    wrapper.compile(optimizer=keras.optimizers.Adam(rate), jit_compile=True)
    order = np.random.default_rng(0).permutation(np.arange(STEPS * BATCH) % len(images))
    wrapper.fit(images[order], labels[order], batch_size=BATCH, verbose=0)
    return network


def facts(kind: str, folder: Path, *, marked: bool, attention: bool = False) -> dict[str, Any]:
    """What is known of a trained network: seconds and accuracies."""
    path = folder / f"{_stem(kind, marked, attention)}.json"
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def _stem(kind: str, marked: bool, attention: bool) -> str:
    return kind + ("_marked" if marked else "") + ("_attention" if attention else "")


def tested(given: Pictures, agreement: float | None) -> datasets.Planted:
    """The test pictures, planted as those that were learned; with a label on demand."""
    return datasets.plant(given.test, agreement=agreement, seed=2)


def _accuracies(network: keras.Model, given: Pictures) -> dict[str, float]:
    """On test pictures: with and without lesions, with a label that is right or wrong."""
    plain, right, wrong = (tested(given, agreement) for agreement in (None, 1.0, 0.0))
    asked = {
        "accuracy": plain.images,
        "without_lesions": plain.healthy,
        "label_right": right.images,
        "label_wrong": wrong.images,
    }
    return {
        name: float(np.mean(network.predict(images, verbose=0).argmax(-1) == plain.labels))
        for name, images in asked.items()
    }
