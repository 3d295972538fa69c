"""An evaluation that a Ray cluster shares gives what one process gives, whoever is lost."""

import contextlib
import random
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np
import psutil
import pytest
import ray_processes

from tfrobust import datasets, load
from tfrobust.attacks import LinearizedMargin
from tfrobust.cli import ray_cluster, workers
from tfrobust.errors import InputError
from tfrobust.robustness.evaluation import Evaluation
from tfrobust.robustness.options import Options
from tfrobust.robustness.report import AraReport

DATA = "fashion_mnist_mini"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A file of a network that each worker compiles quickly."""
    path = tmp_path_factory.mktemp("model") / "small.keras"
    keras.utils.set_random_seed(0)
    made = [keras.Input((28, 28, 1)), keras.layers.Flatten(), keras.layers.Dense(10)]
    keras.Sequential(made).save(path)
    return str(path)


def evaluation(
    model: str, count: int, folder: Path | None, steps: int
) -> tuple[Evaluation, Options]:
    """Of small units: two images each, and both goals."""
    images, labels = datasets.load(DATA).test_arrays(count)
    attacks = [LinearizedMargin(steps=steps, batch_size=1, rivals=2)]
    options = Options(attacks=attacks, partial_dir=folder, progress=False)
    return Evaluation(load(model), images, labels, options), options


def report_of(model: str, count: int, steps: int) -> AraReport:
    """By one process."""
    alone, _ = evaluation(model, count, None, steps)
    alone.run()
    return alone.report()


def shared(
    model: str, count: int, folder: Path, steps: int, address: str, processes: int
) -> AraReport:
    several, options = evaluation(model, count, folder, steps)
    ray_cluster.run(several, options, address=address, model=model, asked={}, count=processes)
    return several.report()


def assert_equal(one: AraReport, other: AraReport) -> None:
    """To the bit, but for the time that it took."""
    for field in ("attack_rmse", "btr_rmse", "attack_linf"):
        np.testing.assert_array_equal(getattr(one, field), getattr(other, field))
    assert (one.attack_ara, one.btr_ara) == (other.attack_ara, other.btr_ara)
    for mine, theirs in zip(one.attacks, other.attacks, strict=True):
        np.testing.assert_array_equal(mine.rmse, theirs.rmse)
        assert (mine.name, mine.goal, mine.won) == (theirs.name, theirs.goal, theirs.won)


def test_two_tasks_give_the_bytes_of_one_process(
    model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("ray")
    # Another cluster than this machine's own, which nothing joins unless it is asked to.
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    found = shared(model, 2, tmp_path, 6, workers.HERE, 2)
    assert np.isfinite(found.attack_rmse).any()
    assert_equal(found, report_of(model, 2, 6))
    # What came back is kept, and not done again.
    again, _ = evaluation(model, 2, tmp_path, 6)
    assert all(again.outcomes.values())


@pytest.mark.parametrize(
    ("installed", "model", "words"),
    [
        (None, DATA, r"pip install tfrobust\[ray\]"),
        (object(), "python:a:b", "can be sent to other machines"),
    ],
)
def test_what_ray_cannot_do_is_refused_at_once(
    installed: object, model: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers.importlib.util, "find_spec", lambda _: installed)
    with pytest.raises(InputError, match=words):
        workers.check_ray("auto", model)


def test_no_cluster_at_the_address(model: str, tmp_path: Path) -> None:
    pytest.importorskip("ray")
    with pytest.raises(InputError, match=r"expected a Ray cluster at .*`ray start --head`"):
        shared(model, 2, tmp_path, 6, "127.0.0.1:1", 1)


@contextlib.contextmanager
def murderer(times: int, log: list[float]) -> Iterator[None]:
    """Kills a random worker, as often as asked or until the block ends."""
    over, rng = threading.Event(), random.Random(0)

    def kill() -> None:
        while len(log) < times and not over.wait(rng.uniform(1, 3)):
            if found := ray_processes.named("ray::Worker"):
                with contextlib.suppress(psutil.Error):
                    rng.choice(found).kill()
                    log.append(time.monotonic())

    thread = threading.Thread(target=kill)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@pytest.mark.slow
def test_workers_of_two_nodes_are_killed_twenty_times(tmp_path: Path) -> None:
    pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    cluster.add_node(num_cpus=1)
    killed: list[float] = []
    try:
        with murderer(20, killed):
            # Compiling takes long enough to be killed in.
            found = shared(DATA, 60, tmp_path, 200, cluster.address, 2)
    finally:
        cluster.shutdown()
    assert len(killed) == 20
    assert_equal(found, report_of(DATA, 60, 200))
    assert len(list(tmp_path.glob("*.npz"))) == 2 * 30
