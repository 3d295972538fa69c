import csv
import dataclasses
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np
import pytest
import tensorflow as tf
from small_runs import ARCHITECTURE, Interrupt

from tfrobust import datasets
from tfrobust.datasets import DataSource
from tfrobust.datasets.arrays import ArraySource
from tfrobust.errors import InputError
from tfrobust.runs.build import build, total_steps
from tfrobust.runs.config import Config
from tfrobust.runs.loop import LOG_EVERY, fit
from tfrobust.runs.metrics_log import DivergedError, read_metrics
from tfrobust.runs.recipes import fashion_mnist_mini
from tfrobust.training import RobustClassifier

CONFIG = fashion_mnist_mini().replace(
    {
        "network.architecture": ARCHITECTURE,
        "training.batch_size": 20,
        "training.max_steps": 12,
        "training.checkpoint_every": 5,
    }
)


@pytest.fixture(scope="module")
def source() -> DataSource:
    return datasets.load("fashion_mnist_mini")


def trained(
    config: Config,
    source: DataSource,
    folder: Path,
    interrupt: int = 0,
    jit: bool | None = None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
) -> RobustClassifier:
    folder.mkdir(exist_ok=True)
    classifier = build(config, source.info, total_steps(config, source))
    callbacks = [*callbacks, *([Interrupt(interrupt)] if interrupt else [])]
    fit(classifier, source, config, folder, callbacks=callbacks, jit=jit)
    return classifier


class Finished(NamedTuple):
    """A run's folder, its network's and all variables, and how often a step read a tensor."""

    folder: Path
    weights: list[np.ndarray]
    variables: list[tuple[str, np.ndarray]]
    reads: list[int]


class Reads(keras.callbacks.Callback):
    """How often each step fetches a tensor from its device."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        super().__init__()
        self.count, self.of_steps = 0, list[int]()
        # What numpy(), float(), bool(), int() and NumPy's functions all call.
        tensor = type(tf.zeros(())).__mro__[1]
        read = tensor._numpy

        def counted(value: tf.Tensor) -> np.ndarray:
            self.count += 1
            return read(value)

        patch.setattr(tensor, "_numpy", counted)

    def on_train_batch_begin(self, batch: int, logs: dict | None = None) -> None:
        self.count = 0

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        self.of_steps.append(self.count)


@pytest.fixture(scope="module")
def whole(source: DataSource, tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """A finished run, compiled without XLA. No test changes it."""
    folder = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        reads = Reads(patch)
        classifier = trained(CONFIG, source, folder, jit=False, callbacks=[reads])
    weights = [variable.numpy() for variable in classifier.network.variables]
    return Finished(folder, weights, kept(classifier), reads.of_steps)


def kept(classifier: RobustClassifier) -> list[tuple[str, np.ndarray]]:
    """The variables that a run keeps: trackers of metrics are of one call only."""
    return [
        (variable.path, variable.numpy())
        for variable in classifier.variables
        if "mean" not in variable.path or "batch_norm" in variable.path
    ]


@pytest.fixture
def finished(whole: Finished, tmp_path: Path) -> Finished:
    """A copy of it."""
    return whole._replace(folder=shutil.copytree(whole.folder, tmp_path / "run"))


RESNET = {"network.architecture": "resnet_cifar", "network.width": 2}
PART = {
    **RESNET,
    "penalty.of": "loss",
    "penalty.exponent": 1.0,
    "penalty.method": "finite_differences",
    "penalty.fraction": 0.25,
    "psi.initial": 0.1,
}


def test_an_interrupted_training_ends_in_the_same_bytes(
    whole: Finished, source: DataSource, tmp_path: Path
) -> None:
    same_after_an_interruption(whole, CONFIG, source, tmp_path, jit=False)


@pytest.mark.slow
@pytest.mark.parametrize(("jit", "changes"), [(False, RESNET), (True, RESNET), (True, PART)])
def test_an_interrupted_training_of_a_resnet_ends_in_the_same_bytes(
    jit: bool, changes: dict, source: DataSource, tmp_path: Path
) -> None:
    config = CONFIG.replace(changes)
    variables = kept(trained(config, source, tmp_path / "whole", jit=jit))
    whole = Finished(tmp_path / "whole", [], variables, [])
    same_after_an_interruption(whole, config, source, tmp_path, jit=jit)


def same_after_an_interruption(
    whole: Finished, config: Config, source: DataSource, tmp_path: Path, jit: bool
) -> None:
    with pytest.raises(KeyboardInterrupt):
        trained(config, source, tmp_path / "cut", interrupt=7, jit=jit)
    assert [row["step"] for row in read_metrics(tmp_path / "cut" / "metrics.csv")][-1] == 7
    cut = kept(trained(config, source, tmp_path / "cut", jit=jit))
    for (path, ours), (_, theirs) in zip(whole.variables, cut, strict=True):
        np.testing.assert_array_equal(ours, theirs, err_msg=path)
    tables = [(path / "metrics.csv").read_text() for path in (whole.folder, tmp_path / "cut")]
    assert tables[0] == tables[1]


@pytest.mark.slow
@pytest.mark.parametrize("balance", ["weights", "sampling"])
def test_a_balanced_training_is_another_and_resumes_to_the_same_bytes(
    source: DataSource, tmp_path: Path, balance: str
) -> None:
    images, labels = source.test_arrays(None)
    chosen = np.concatenate([np.flatnonzero(labels == 0), np.flatnonzero(labels == 1)[:20]])
    arrays = (images[chosen] * 255).astype(np.uint8), labels[chosen]
    info = dataclasses.replace(source.info, train_images=len(chosen), test_images=len(chosen))
    rare = ArraySource(info, lambda: arrays, lambda: arrays)
    config = CONFIG.replace({"data.balance": balance, "training.max_steps": 4})
    whole = trained(config, rare, tmp_path / "whole", jit=False)
    with pytest.raises(KeyboardInterrupt):
        trained(config, rare, tmp_path / "cut", interrupt=2, jit=False)
    cut = trained(config, rare, tmp_path / "cut", jit=False)
    plain = trained(config.replace({"data.balance": "none"}), rare, tmp_path / "plain", jit=False)
    kernels = [one.network.trainable_variables[0].numpy() for one in (whole, cut, plain)]
    np.testing.assert_array_equal(kernels[0], kernels[1])
    assert np.abs(kernels[0] - kernels[2]).max() > 1e-6


class Weights(keras.callbacks.Callback):
    """The trained weights after each step."""

    def on_train_begin(self, logs: dict | None = None) -> None:
        self.seen: list[list[np.ndarray]] = []

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        self.seen.append([value.numpy() for value in self.model.network.trainable_variables])


def test_the_average_of_the_weights_takes_their_place(source: DataSource, tmp_path: Path) -> None:
    config = CONFIG.replace({"optimizer.weight_average": 0.8, "training.max_steps": 6})
    classifier = build(config, source.info, total_steps(config, source))
    watcher = Weights()
    fit(classifier, source, config, tmp_path, callbacks=[watcher], jit=False)
    expected = watcher.seen[0]
    for weights in watcher.seen[1:]:
        expected = [0.8 * mean + 0.2 * one for mean, one in zip(expected, weights, strict=True)]
    ended = [value.numpy() for value in classifier.network.trainable_variables]
    for mean, last, ours in zip(expected, watcher.seen[-1], ended, strict=True):
        # Sums of six float32 numbers, in another order.
        np.testing.assert_allclose(ours, mean, rtol=1e-5, atol=1e-6)
        assert np.abs(ours - last).max() > 1e-5
    # A finished run that is begun again ends in the averages too: checkpoints hold both.
    again = build(config, source.info, total_steps(config, source))
    fit(again, source, config, tmp_path, jit=False)
    for ours, theirs in zip(ended, again.network.trainable_variables, strict=True):
        np.testing.assert_array_equal(ours, theirs.numpy())


def test_the_run_folder_holds_a_row_a_step_two_checkpoints_and_logs(whole: Finished) -> None:
    with (whole.folder / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [int(row["step"]) for row in rows] == list(range(1, 13))
    assert all(float(row["psi"]) >= 220 for row in rows)
    # The rate drops after 70 % of the steps.
    assert float(rows[0]["learning_rate"]) == pytest.approx(0.1)
    assert float(rows[-1]["learning_rate"]) == pytest.approx(0.01)
    assert 0 <= float(rows[-1]["val_accuracy"]) <= 1
    kept = sorted(path.name for path in (whole.folder / "checkpoints").glob("*.index"))
    assert kept == ["step-10.index", "step-12.index"]
    assert list((whole.folder / "tensorboard").rglob("*.tfevents.*"))


def test_a_step_reads_nothing_from_its_device_but_where_the_log_looks(whole: Finished) -> None:
    looks = [step for step in range(12) if step % LOG_EVERY == 0]
    assert [step for step, count in enumerate(whole.reads) if count] == looks


def test_a_truncated_checkpoint_is_passed_over(
    source: DataSource, finished: Finished, capsys: pytest.CaptureFixture[str]
) -> None:
    for part in (finished.folder / "checkpoints").glob("step-12.*"):
        part.write_bytes(part.read_bytes()[:100])
    again = trained(CONFIG, source, finished.folder, jit=False)
    assert "cannot be read" in capsys.readouterr().out
    for ours, theirs in zip(finished.weights, again.network.variables, strict=True):
        np.testing.assert_array_equal(ours, theirs.numpy())


@pytest.mark.slow
def test_a_damaged_checkpoint_alone_is_not_half_loaded(
    source: DataSource, finished: Finished
) -> None:
    for part in (finished.folder / "checkpoints").glob("step-*.data*"):
        # The index, and the first variables, can still be read.
        part.write_bytes(part.read_bytes()[:-50])
    again = trained(CONFIG, source, finished.folder, jit=False)
    for ours, theirs in zip(finished.weights, again.network.variables, strict=True):
        np.testing.assert_array_equal(ours, theirs.numpy())


def test_a_checkpoint_of_another_network_is_refused(source: DataSource, finished: Finished) -> None:
    for other in ("python:small_runs:wider", "resnet_cifar"):
        change = {"network.architecture": other}
        with pytest.raises(InputError, match="another network"):
            trained(CONFIG.replace(change), source, finished.folder, jit=False)
    assert list((finished.folder / "checkpoints").glob("step-12.index"))


def test_a_label_that_is_no_class_is_named(source: DataSource, tmp_path: Path) -> None:
    wrong = datasets.load("fashion_mnist_mini")
    wrong.info = dataclasses.replace(wrong.info, class_names=wrong.info.class_names[:9])
    with pytest.raises(InputError, match=r"labels from 0 to 8, got 9 in the batch of step \d+"):
        trained(CONFIG, wrong, tmp_path, jit=False)
    assert not list((tmp_path / "checkpoints").glob("*"))


def test_half_a_line_of_metrics_is_none(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    path.write_text("step,epoch,loss\n1,0,0.5\n2,0,0.2")
    assert read_metrics(path) == [{"step": 1, "epoch": 0, "loss": 0.5}]


@pytest.mark.slow
def test_an_epoch_cut_off_before_its_validation_is_ended_on_resume(
    source: DataSource, tmp_path: Path
) -> None:
    config = CONFIG.replace({"training.max_steps": 4})

    class Cut(keras.callbacks.Callback):
        def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
            if batch == 3:
                raise KeyboardInterrupt

    classifier = build(config, source.info, 4)
    with pytest.raises(KeyboardInterrupt):
        fit(classifier, source, config, tmp_path, callbacks=[Cut()], jit=False)
    rows = read_metrics(tmp_path / "metrics.csv")
    assert len(rows) == 4 and "val_accuracy" not in rows[-1]
    trained(config, source, tmp_path, jit=False)
    ended = read_metrics(tmp_path / "metrics.csv")
    assert ended[:3] == rows[:3] and 0 <= ended[3].pop("val_accuracy") <= 1
    assert ended[3] == rows[3]
    before = (tmp_path / "metrics.csv").read_text()
    trained(config, source, tmp_path, jit=False)  # nothing is left to do
    assert (tmp_path / "metrics.csv").read_text() == before


def test_a_diverged_training_stops_and_keeps_the_last_good_checkpoint(
    source: DataSource, tmp_path: Path
) -> None:
    config = CONFIG.replace({"optimizer.learning_rate": 1e25, "training.checkpoint_every": 1})
    with pytest.raises(DivergedError, match=r"diverged.*`optimizer\.learning_rate`"):
        trained(config, source, tmp_path, jit=False)
    kept = sorted(path.name for path in (tmp_path / "checkpoints").glob("*.index"))
    assert kept and set(kept) <= {"step-1.index", "step-2.index"}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"psi.loss_target": 2.4}, "`psi.loss_target` below ln 10"),
        ({**RESNET, "network.depth": 9}, "6n"),
        ({"training.batch_size": 20_000}, "20,?000"),
    ],
)
def test_configurations_that_do_not_fit(change: dict, said: str, source: DataSource) -> None:
    config = CONFIG.replace(change)
    with pytest.raises(InputError, match=said):
        build(config, source.info, total_steps(config, source))
