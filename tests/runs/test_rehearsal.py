"""What could fail at a run's end is tried at its start; what was trained is kept."""

import collections
import dataclasses
import shutil
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfrobust import datasets
from tfrobust.cli import program
from tfrobust.errors import InputError, UnfinishedError
from tfrobust.runs import rehearsal, stages
from tfrobust.runs.folder import Run
from tfrobust.runs.keeping import keeping
from tfrobust.runs.recipes import fashion_mnist_mini

SOURCE = datasets.load("fashion_mnist_mini")
CONFIG = fashion_mnist_mini().replace({"training.max_steps": 1, "training.batch_size": 10})
NOT_UTF8 = "caf\udce9"  # how Python tells the bytes caf\xe9 of a file's name


def network(*between: keras.layers.Layer) -> keras.Model:
    keras.utils.set_random_seed(0)
    ends = [keras.layers.Flatten(), keras.layers.Dense(10)]
    return keras.Sequential([keras.Input((28, 28, 1)), *between, *ends])


class Unregistered(keras.layers.Layer):
    def call(self, inputs: keras.KerasTensor) -> keras.KerasTensor:
        return inputs * 2


class Python(keras.layers.Layer):
    """Runs Python, which no exported model holds and XLA does not compile."""

    def call(self, inputs: keras.KerasTensor) -> keras.KerasTensor:
        outputs = tf.py_function(lambda images: images * 2, [inputs], tf.float32)
        return tf.ensure_shape(outputs, inputs.shape)

    def compute_output_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        return shape


def runs_python(input_shape: tuple[int, ...], num_classes: int) -> keras.Model:
    return network(Python())


def test_names_that_are_not_utf8_are_refused() -> None:
    rehearsal.check_text(CONFIG, SOURCE.info, Path("runs"))
    names = (*SOURCE.info.class_names[:9], NOT_UTF8)
    with pytest.raises(InputError, match=r"expected text in UTF-8.*'caf\\udce9'"):
        rehearsal.check_text(CONFIG, dataclasses.replace(SOURCE.info, class_names=names))
    with pytest.raises(InputError, match=r"got 'runs/caf\\udce9'; rename"):
        rehearsal.check_text(CONFIG, SOURCE.info, Path("runs") / NOT_UTF8)


def test_a_training_too_short_to_mean_anything_is_said_to_be() -> None:
    config = fashion_mnist_mini()
    assert "the training has 199 steps. In fewer than 200" in rehearsal.few_steps(config, 199)
    assert not rehearsal.few_steps(config, 200)
    assert not rehearsal.few_steps(CONFIG, 1)  # a smoke run says so itself


def test_a_disk_without_room_is_refused(tmp_path: Path, monkeypatch) -> None:
    folders = {"runs": tmp_path / "runs", "saved_models": tmp_path / "new" / "models"}
    rehearsal.check_room(CONFIG, network(), **folders)
    usage = collections.namedtuple("usage", "free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(60 * 2**20))
    with pytest.raises(InputError, match=r"expected 10\d MB of room at /.*, got 60 MB"):
        rehearsal.check_room(CONFIG, network(), **folders)


def test_what_an_export_will_leave_out_is_told_beforehand(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rehearsal.rehearse(Run(CONFIG, SOURCE, tmp_path), network(Unregistered()))
    told = capsys.readouterr().err
    assert "warning: network.keras will be left out of the export: it cannot be read back" in told
    assert "onnx" not in told
    assert not list(tmp_path.iterdir())


def test_a_network_that_could_not_be_explained_is_refused_before_the_training(
    tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.setitem(sys.modules, "strange", sys.modules[__name__])
    changes = {"network.architecture": "python:strange:runs_python", "training.max_steps": None}
    config = CONFIG.replace(changes)
    with pytest.raises(
        InputError, match=r"explained and exported once it is trained, but `network"
    ):
        stages.run(config, runs_dir=tmp_path / "runs", saved_models=tmp_path / "models")
    (run,) = (tmp_path / "runs").iterdir()
    assert not (run / "metrics.csv").exists() and not (tmp_path / "models").exists()


def test_a_trained_network_is_kept_whatever_fails_then(tmp_path: Path) -> None:
    trained = network()
    with (
        pytest.raises(UnfinishedError) as caught,
        program.resumable(""),
        keeping(Run(CONFIG, SOURCE, tmp_path), trained),
    ):
        raise ValueError("the export failed")
    path = tmp_path / "network.keras"
    assert str(caught.value) == (
        f"after the training, the export failed. The trained network is kept: {path}. "
        f"To go on: {program.command()}"
    )
    again = keras.saving.load_model(path)
    images = np.random.default_rng(0).random((2, 28, 28, 1), np.float32)
    np.testing.assert_array_equal(again(images), trained(images))
    assert list(tmp_path.iterdir()) == [path]


def test_an_interruption_after_the_training_says_what_is_kept(tmp_path: Path) -> None:
    with (
        pytest.raises(KeyboardInterrupt, match=r"network is kept: .* So is what was measured\."),
        keeping(Run(CONFIG, SOURCE, tmp_path), network()),
    ):
        raise KeyboardInterrupt
