import csv
import dataclasses
from pathlib import Path

import keras
import numpy as np
import pytest

from tfrobust import datasets
from tfrobust.datasets import DataSource
from tfrobust.errors import InputError
from tfrobust.recipes import Recipe, fashion_mnist_mini
from tfrobust.training import RobustClassifier
from tfrobust.training.fit import DivergedError, build, fit, read_metrics, total_steps

RECIPE = dataclasses.replace(
    fashion_mnist_mini(), width=2, batch_size=20, max_steps=12, checkpoint_every=5
)


@pytest.fixture(scope="module")
def source() -> DataSource:
    return datasets.load("fashion_mnist_mini")


class Interrupt(keras.callbacks.Callback):
    """Ctrl-C after some steps of this call."""

    def __init__(self, steps: int) -> None:
        super().__init__()
        self.steps = steps

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        self.steps -= 1
        if self.steps == 0:
            raise KeyboardInterrupt


def trained(
    recipe: Recipe, source: DataSource, folder: Path, interrupt: int = 0
) -> RobustClassifier:
    folder.mkdir(exist_ok=True)
    classifier = build(recipe, source.info, total_steps(recipe, source))
    fit(classifier, source, recipe, folder, callbacks=[Interrupt(interrupt)] if interrupt else [])
    return classifier


def test_an_interrupted_training_ends_in_the_same_bytes(source: DataSource, tmp_path: Path) -> None:
    whole = trained(RECIPE, source, tmp_path / "whole")
    for stop in (4, 3):  # at step 4, and after the resume at step 7
        with pytest.raises(KeyboardInterrupt):
            trained(RECIPE, source, tmp_path / "cut", interrupt=stop)
    assert [row["step"] for row in read_metrics(tmp_path / "cut" / "metrics.csv")][-1] == 7
    cut = trained(RECIPE, source, tmp_path / "cut")
    for ours, theirs in zip(whole.variables, cut.variables, strict=True):
        if "mean" not in ours.path or "batch_norm" in ours.path:  # trackers are of one call only
            np.testing.assert_array_equal(ours.numpy(), theirs.numpy(), err_msg=ours.path)
    tables = [(tmp_path / name / "metrics.csv").read_text() for name in ("whole", "cut")]
    assert tables[0] == tables[1]


def test_the_run_folder_holds_a_row_a_step_two_checkpoints_and_logs(
    source: DataSource, tmp_path: Path
) -> None:
    trained(RECIPE, source, tmp_path)
    with (tmp_path / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [int(row["step"]) for row in rows] == list(range(1, 13))
    assert all(float(row["psi"]) >= 220 for row in rows)
    # The rate drops after 70 % of the steps.
    assert float(rows[0]["learning_rate"]) == pytest.approx(0.1)
    assert float(rows[-1]["learning_rate"]) == pytest.approx(0.01)
    assert 0 <= float(rows[-1]["val_accuracy"]) <= 1
    kept = sorted(path.name for path in (tmp_path / "checkpoints").glob("*.index"))
    assert kept == ["step-10.index", "step-12.index"]
    assert list((tmp_path / "tensorboard").rglob("*.tfevents.*"))


def test_a_truncated_checkpoint_is_passed_over(
    source: DataSource, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = trained(RECIPE, source, tmp_path)
    for part in (tmp_path / "checkpoints").glob("step-12.*"):
        part.write_bytes(part.read_bytes()[:100])
    again = trained(RECIPE, source, tmp_path)
    assert "cannot be read" in capsys.readouterr().out
    for ours, theirs in zip(whole.network.variables, again.network.variables, strict=True):
        np.testing.assert_array_equal(ours.numpy(), theirs.numpy())


def test_a_diverged_training_stops_and_keeps_the_last_good_checkpoint(
    source: DataSource, tmp_path: Path
) -> None:
    recipe = dataclasses.replace(RECIPE, learning_rate=1e25, checkpoint_every=1)
    with pytest.raises(DivergedError, match=r"diverged.*--learning_rate"):
        trained(recipe, source, tmp_path)
    kept = sorted(path.name for path in (tmp_path / "checkpoints").glob("*.index"))
    for name in kept:
        assert name in {"step-1.index", "step-2.index"}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"loss_target": 2.4}, "ln K"),
        ({"depth": 9}, "6n"),
        ({"batch_size": 20_000}, "20,?000"),
    ],
)
def test_recipes_that_do_not_fit(change: dict, said: str, source: DataSource) -> None:
    recipe = dataclasses.replace(RECIPE, **change)
    with pytest.raises(InputError, match=said):
        build(recipe, source.info, total_steps(recipe, source))
