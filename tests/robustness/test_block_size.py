"""How many images are attacked at a time: by their size on a CPU, by trial on a GPU."""

import dataclasses
import math
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfrobust.attacks import LinearizedMargin
from tfrobust.core.door import as_classifier
from tfrobust.errors import InputError
from tfrobust.robustness import block_size
from tfrobust.robustness.block_size import TAKEN, batch_size_of, largest
from tfrobust.robustness.evaluation import Evaluation
from tfrobust.robustness.options import Options
from tfrobust.robustness.partials import claimed_batch_size


def test_a_number_is_halved_until_it_fits() -> None:
    tried: list[int] = []

    def fits(size: int) -> bool:
        tried.append(size)
        return size <= 30

    assert largest(fits, 200) == 25 and tried == [200, 100, 50, 25]
    with pytest.raises(InputError, match="memory for one image"):
        largest(lambda _: False, 3)


def test_a_gpu_takes_as_many_images_as_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    images = np.random.default_rng(0).random((9600, 4, 4, 1), np.float32)
    network = as_classifier(
        keras.Sequential([keras.Input((4, 4, 1)), keras.layers.Flatten(), keras.layers.Dense(3)])
    )
    assert block_size.block_size(network, images) == batch_size_of(9600, 16) == 50
    monkeypatch.setattr(tf.config, "list_logical_devices", lambda kind: [kind])
    tried: list[int] = []

    def limited(attack, model, block):  # type: ignore[no-untyped-def]
        tried.append(len(block.classes))
        if tried[-1] > 250:
            raise tf.errors.ResourceExhaustedError(None, None, "no memory")
        none = np.zeros(len(block.classes), bool)
        return np.zeros_like(block.images), none, none

    monkeypatch.setattr(LinearizedMargin, "_run", limited)
    # A sixteenth of the images is tried first. Of 250 that fit three quarters are taken at most.
    assert block_size.block_size(network, images) == 150
    assert tried == [math.ceil(size / TAKEN) for size in (600, 300, 150)]
    # Few images are still shared by several devices.
    assert block_size.block_size(network, images[:320]) == batch_size_of(320, 16) == 46


def test_processes_that_share_a_folder_take_the_number_of_the_first(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        asked = range(10, 18)
        taken = list(pool.map(lambda size: claimed_batch_size(tmp_path / "new", size), asked))
    assert len(set(taken)) == 1 and taken[0] in asked
    # One that was ended while it wrote leaves nothing.
    (tmp_path / "new" / "batch_size.txt").write_text("")
    assert claimed_batch_size(tmp_path / "new", 7) == 7 == claimed_batch_size(tmp_path / "new", 8)


def test_what_is_kept_goes_on_with_as_many_images_at_a_time(tmp_path: Path) -> None:
    images = np.random.default_rng(0).random((6, 4, 4, 1), np.float32)
    network = keras.Sequential(
        [keras.Input((4, 4, 1)), keras.layers.Flatten(), keras.layers.Dense(3)]
    )
    labels = network(images).numpy().argmax(axis=1)
    options = Options(preset="fast", partial_dir=tmp_path, progress=False)
    asked = Evaluation(network, images, labels, dataclasses.replace(options, batch_size=2))
    assert asked.batch_size == 2 and len(asked.units) == 4  # two goals, units of two blocks
    assert Evaluation(network, images, labels, options).batch_size == 2
    assert (tmp_path / "batch_size.txt").read_text() == "2\n"
    elsewhere = dataclasses.replace(options, partial_dir=tmp_path / "none")
    assert Evaluation(network, images, labels, elsewhere).batch_size == 6


def test_where_memory_is_full_it_goes_on_with_fewer_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = np.random.default_rng(0).random((6, 4, 4, 1), np.float32)
    network = keras.Sequential(
        [keras.Input((4, 4, 1)), keras.layers.Flatten(), keras.layers.Dense(3)]
    )
    labels = network(images).numpy().argmax(axis=1)
    options = Options(preset="fast", partial_dir=tmp_path, progress=False)
    real, most = LinearizedMargin._run, 4

    def limited(attack, model, block):  # type: ignore[no-untyped-def]
        if len(block.classes) > most:
            raise tf.errors.ResourceExhaustedError(None, None, "no memory")
        return real(attack, model, block)

    monkeypatch.setattr(LinearizedMargin, "_run", limited)
    evaluation = Evaluation(network, images, labels, options)
    assert evaluation.batch_size == 6
    with pytest.warns(UserWarning, match="full with 6 images at a time; it goes on with 3"):
        evaluation.run()
    report = evaluation.report()
    assert (report.attack_rmse > 0).all() and np.isfinite(report.attack_rmse).all()
    # What is done is kept, and whoever goes on begins with the smaller number.
    again = Evaluation(network, images, labels, options)
    assert again.batch_size == 3 and again.units == evaluation.units
    assert again.report().attack_rmse.tobytes() == report.attack_rmse.tobytes()
    most = 0
    again.outcomes = {unit: [] for unit in again.units}
    with (
        pytest.warns(UserWarning, match="goes on with 1"),
        pytest.raises(tf.errors.ResourceExhaustedError),
    ):
        again.run()
