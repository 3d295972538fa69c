from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from tfrobust.attacks import LinearizedMargin, Misclassified
from tfrobust.core.ara import accuracy_robustness_area
from tfrobust.runs.callbacks import CheapAra, ExplanationImages, Scalars


class Wrapped(keras.Model):
    """As RobustClassifier: a model that holds a network."""

    def __init__(self, network: keras.Model) -> None:
        super().__init__()
        self.network = network


@pytest.fixture(scope="module")
def wrapped() -> Wrapped:
    """Its network's boundaries lie near: logits are ten times the brightness of three parts."""
    network = keras.Sequential([keras.Input((6, 6, 1)), keras.layers.Flatten()])
    network.add(keras.layers.Dense(3))
    weights = np.zeros((36, 3), np.float32)
    for part in range(3):
        weights[12 * part : 12 * part + 12, part] = 10
    network.layers[-1].set_weights([weights, np.zeros(3, np.float32)])
    return Wrapped(network)


@pytest.fixture
def images() -> Iterator[tuple[np.ndarray, np.ndarray]]:
    labels = np.arange(4, dtype=np.int32) % 3
    images = np.random.default_rng(0).uniform(0.4, 0.5, (4, 6, 6, 1)).astype(np.float32)
    for image, label in zip(images, labels, strict=True):
        image[2 * label : 2 * label + 2] += 0.3
    yield images, labels


def read(folder: Path, tag: str) -> list[tuple[int, float]]:
    """Steps and values of a scalar, from TensorBoard's own reader."""
    found = EventAccumulator(str(folder), size_guidance={"tensors": 0})
    found.Reload()
    return [(e.step, float(tf.make_ndarray(e.tensor_proto))) for e in found.Tensors(tag)]


def test_scalars_of_steps_and_epochs(tmp_path: Path) -> None:
    scalars = Scalars(tmp_path, exponent=4.0)
    scalars.on_train_batch_end(0, {})
    scalars.on_train_batch_end(1, {"step": 2, "epoch": 0, "loss": 3.0, "penalty": 16.0})
    scalars.on_epoch_end(0, {"loss": 2.5, "psi": 220.0, "attack ARA": 0.25})
    scalars.on_train_end()
    assert read(tmp_path, "steps/loss") == [(2, 3.0)]
    assert read(tmp_path, "steps/penalty") == [(2, 16.0)]
    assert read(tmp_path, "steps/input_gradient") == [(2, 2.0)]  # 16^(1/4)
    assert read(tmp_path, "epochs/loss") == [(1, 2.5)]
    assert read(tmp_path, "epochs/psi") == [(1, 220.0)]
    assert read(tmp_path, "epochs/attack ARA") == [(1, 0.25)]


def test_a_cheap_ara_names_its_attack(wrapped: Wrapped, images: tuple) -> None:
    callback = CheapAra(images=images[0], labels=images[1], num_classes=3, every=2)
    callback.set_model(wrapped)
    assert callback.columns == ("attack ARA of 4 images by linearized margin (30 steps, 6 rivals)",)
    logs: dict[str, float] = {}
    callback.on_epoch_end(0, logs)
    assert not logs
    callback.on_epoch_end(1, logs)
    found = LinearizedMargin(steps=30, batch_size=4)(wrapped.network, *images, Misclassified())
    expected = accuracy_robustness_area(found.rmse, 3).value
    assert logs == {callback.columns[0]: expected} and expected > 0


def test_explanations_are_pictures_in_tensorboard(
    wrapped: Wrapped, images: tuple, tmp_path: Path
) -> None:
    callback = ExplanationImages(
        tmp_path, images=images[0][:1], labels=images[1][:1], class_names="abc", every=2
    )
    callback.set_model(wrapped)
    for epoch in range(2):
        callback.on_epoch_end(epoch)
    callback.on_train_end()
    found = EventAccumulator(str(tmp_path), size_guidance={"tensors": 0})
    found.Reload()
    (event,) = found.Tensors("explanations")
    width, height, picture = tf.make_ndarray(event.tensor_proto)
    assert event.step == 2 and picture.startswith(b"\x89PNG")
    assert int(width) > int(height) > 6


def test_a_look_every_0_epochs_is_refused(images: tuple) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        CheapAra(images=images[0], labels=images[1], num_classes=3, every=0)
