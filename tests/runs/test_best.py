"""The best weights of a training, when to stop, and a body that is frozen at first."""

import dataclasses
from pathlib import Path

import keras
import numpy as np
import pytest
from scipy.special import softmax
from sklearn.metrics import roc_auc_score
from small_runs import Interrupt

from tfrobust import datasets
from tfrobust.datasets import DataSource
from tfrobust.datasets.arrays import ArraySource
from tfrobust.errors import InputError
from tfrobust.runs.best import BestWeights, check, told
from tfrobust.runs.build import build, total_steps
from tfrobust.runs.config import Config
from tfrobust.runs.loop import Training, fit
from tfrobust.runs.metrics_log import read_metrics
from tfrobust.runs.recipes import fashion_mnist_mini
from tfrobust.runs.validation import ValidationAuc

MODULE = """
import keras


def small(input_shape, num_classes):
    return keras.Sequential(
        [
            keras.Input(input_shape),
            keras.layers.AveragePooling2D(4),
            keras.layers.BatchNormalization(),
            keras.layers.Flatten(),
            keras.layers.Dense(8, "relu"),
            keras.layers.Dense(num_classes),
        ]
    )
"""
STEPS = 4  # of an epoch


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    (tmp_path / "small_networks.py").write_text(MODULE)
    monkeypatch.syspath_prepend(str(tmp_path))
    return fashion_mnist_mini().replace(
        {
            "network.architecture": "python:small_networks:small",
            "training.batch_size": 10,
            "training.checkpoint_every": 3,
            "watch.keep_best": "accuracy",
        }
    )


@pytest.fixture(scope="module")
def source() -> DataSource:
    """Forty images to train on, and a hundred others for validation."""
    images, labels = datasets.load("fashion_mnist_mini").test_arrays(140)
    pixels = (images * 255).astype(np.uint8)
    info = dataclasses.replace(
        datasets.load("fashion_mnist_mini").info, train_images=40, test_images=100
    )

    def of(*rows: slice) -> list:
        return [lambda chosen=chosen: (pixels[chosen], labels[chosen]) for chosen in rows]

    made = ArraySource(info, *of(slice(40), slice(40, 140)))
    made.validation = ArraySource(info.of_validation(100), *of(slice(0), slice(40, 140)))
    return made


class Weights(keras.callbacks.Callback):
    """All values of the network at the end of each epoch."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[list[np.ndarray]] = []

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        self.seen.append([np.asarray(one) for one in self.model.network.variables])


def trained(
    config: Config,
    source: DataSource,
    folder: Path,
    *callbacks: keras.callbacks.Callback,
    jit: bool = True,
) -> tuple[Training, list[np.ndarray]]:
    folder.mkdir(exist_ok=True)
    classifier = build(config, source.info, total_steps(config, source))
    training = fit(classifier, source, config, folder, callbacks=callbacks, jit=jit)
    return training, [np.asarray(one) for one in classifier.network.variables]


def assert_same(ours: list[np.ndarray], theirs: list[np.ndarray]) -> None:
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(one, other)


# A rate at which the accuracy goes up and down.
STOPPING = {"training.epochs": 30, "watch.patience": 3, "optimizer.learning_rate": 0.3}
FROZEN = {
    "training.epochs": 3,
    "network.activation": "relu",
    "network.frozen_epochs": 2,
    "watch.keep_best": "none",
}


def test_the_best_epoch_s_weights_are_kept_and_the_training_stops(
    config: Config, source: DataSource, tmp_path: Path
) -> None:
    seen = Weights()
    training, weights = trained(config.replace(STOPPING), source, tmp_path, seen, jit=False)
    rows = read_metrics(tmp_path / "metrics.csv")
    accuracies = [row["val_accuracy"] for row in rows if "val_accuracy" in row]
    best = int(np.argmax(accuracies))
    assert training.best_epoch == best and len(accuracies) == best + 1 + 3 < 30
    assert training.steps == STEPS * len(accuracies)
    assert_same(weights, seen.seen[best])
    assert [path.name for path in tmp_path.glob("best-*")] == [f"best-{best + 1}.npz"]
    # As after a kill while the network is measured.
    again, same = trained(config.replace(STOPPING), source, tmp_path, jit=False)
    assert (again.best_epoch, again.steps, again.resumed_at) == (best, training.steps, again.steps)
    assert_same(same, weights)


def test_the_last_layer_is_trained_alone_at_first(
    config: Config, source: DataSource, tmp_path: Path
) -> None:
    config = config.replace(FROZEN)
    classifier = build(config, source.info, 3 * STEPS)
    names = [variable.path for variable in classifier.network.variables]
    new = [np.asarray(variable) for variable in classifier.network.variables]
    seen = Weights()
    trained(config, source, tmp_path, seen, jit=False)
    moved = [
        {name for name, a, b in zip(names, one, new, strict=True) if np.abs(a - b).max() > 0}
        for one in seen.seen
    ]
    assert moved == [set(names[-2:])] * 2 + [set(names)]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changes", "cuts"),
    [
        (STOPPING, (STEPS + 2, STEPS)),
        (FROZEN, (STEPS + 1, 2 * STEPS - 2)),  # while it is frozen, and after it was thawed
        ({"psi.initial_share": 0.01, "training.epochs": 6, "watch.keep_best": "none"}, (2, 5)),
    ],
)
def test_an_interrupted_training_ends_in_the_same_bytes(
    config: Config, source: DataSource, tmp_path: Path, changes: dict, cuts: tuple[int, ...]
) -> None:
    config = config.replace(changes)
    training, weights = trained(config, source, tmp_path / "whole")
    for steps in cuts:
        with pytest.raises(KeyboardInterrupt):
            trained(config, source, tmp_path / "cut", Interrupt(steps))
    cut, same = trained(config, source, tmp_path / "cut")
    assert cut.resumed_at == sum(cuts) and cut.best_epoch == training.best_epoch
    assert_same(same, weights)
    tables = [(tmp_path / name / "metrics.csv").read_text() for name in ("whole", "cut")]
    assert tables[0] == tables[1]


def test_the_best_auc_is_that_of_scikit_learn(
    config: Config, source: DataSource, tmp_path: Path
) -> None:
    """The kept weights are those of the best epoch, and have the AUC that was written down."""
    config = config.replace({**STOPPING, "watch.keep_best": "auc", "training.epochs": 4})
    auc = ValidationAuc(source, config.training.batch_size)
    training, weights = trained(config, source, tmp_path, auc, jit=False)
    values = [row["val_auc"] for row in read_metrics(tmp_path / "metrics.csv") if "val_auc" in row]
    assert len(values) == 4 and training.best_epoch == int(np.argmax(values))
    network = build(config, source.info, 4).network
    for variable, value in zip(network.variables, weights, strict=True):
        variable.assign(value)
    images, labels = source.validation.test_arrays(None)
    shares = softmax(np.asarray(network(images, training=False), np.float64), axis=1)
    expected = roc_auc_score(labels, shares, multi_class="ovr", average="macro")
    assert max(values) == pytest.approx(expected, abs=1e-5)


def test_equal_values_keep_the_earlier_weights_and_no_number_is_none(tmp_path: Path) -> None:
    network = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    config = fashion_mnist_mini().replace({"watch.keep_best": "accuracy", "watch.patience": 2})
    best = BestWeights(config, tmp_path, network, (), [])
    for epoch, value in enumerate([float("nan"), 0.5, 0.5]):
        network.set_weights([np.full((1, 1), epoch), np.zeros(1)])
        best.see(epoch, {"val_accuracy": value})
        assert not best.is_over
    assert best.epoch == 1
    # A kill before the checkpoint leaves more than the best; what goes on forgets it.
    (tmp_path / "best-9.npz").touch()
    rows = [{"epoch": 0}, {"epoch": 1, "val_accuracy": 0.5}, {"epoch": 2, "val_accuracy": 0.5}]
    best = BestWeights(config, tmp_path, network, (), rows)
    best.forget_others()
    assert [path.name for path in tmp_path.glob("best-*")] == ["best-2.npz"]
    best.restore()
    assert float(network.get_weights()[0][0, 0]) == 1
    best.see(3, {"val_accuracy": 0.4})
    assert best.is_over


@pytest.mark.parametrize(
    ("changes", "hosts", "said"),
    [
        ({"watch.keep_best": "accuracy"}, 1, "images for validation .* has none besides its test"),
        ({"watch.keep_best": "accuracy", "data.held_out": 10}, 2, "one host .* got 2"),
    ],
)
def test_weights_are_not_chosen_by_the_images_that_are_measured(
    changes: dict, hosts: int, said: str, source: DataSource
) -> None:
    embedded = datasets.load("fashion_mnist_mini")
    config = fashion_mnist_mini().replace(changes)
    with pytest.raises(InputError, match=said):
        check(config, embedded, hosts=hosts)
    check(config, source, hosts=1)
    check(fashion_mnist_mini(), embedded, hosts=2)


def test_which_weights_ship_is_told() -> None:
    assert told("none", None) is None
    assert "after epoch 3, the best by their ara" in str(told("ara", 2))
    # A network that gives one class to all has no area, and no epoch is the best.
    assert "the last ones: the ara" in str(told("ara", None))
