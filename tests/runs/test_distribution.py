import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import programs
import pytest
import tensorflow as tf
from PIL import Image

from tfrobust import datasets
from tfrobust.datasets.files import FileSource
from tfrobust.datasets.folder_scan import Picture
from tfrobust.datasets.left_out import LeftOut
from tfrobust.errors import InputError
from tfrobust.runs.metrics_log import read_metrics

SCRIPT = Path(__file__).with_name("train_together.py")


def free_addresses(count: int) -> list[str]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    addresses = [f"127.0.0.1:{one.getsockname()[1]}" for one in sockets]
    for one in sockets:
        one.close()
    return addresses


@pytest.fixture(
    scope="module",
    params=[
        "python:small_runs:synchronized",
        pytest.param("resnet_cifar", marks=pytest.mark.slow),  # a minute to trace for all of them
    ],
)
def trained(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Path]:
    """What train_together.py writes on one device, two devices, and two hosts."""
    folder = tmp_path_factory.mktemp("together")
    workers = free_addresses(2)
    environments = [{}] + [
        {
            "TF_CONFIG": json.dumps(
                {"cluster": {"worker": workers}, "task": {"type": "worker", "index": index}}
            )
        }
        for index in (0, 1)
    ]
    processes = []
    for environment in environments:
        kind = "host" if environment else "CPU"
        log = folder / f"{kind}{len(processes)}.log"
        command = [SCRIPT, kind, folder, request.param]
        processes.append((programs.start(command, log, log, env=environment), log))
    try:
        for process, log in processes:
            process.join(300)
            assert process.exitcode == 0, log.read_text()[-3000:]
        yield folder
    finally:
        for process, _ in processes:
            process.kill()


@pytest.mark.parametrize("name", ["two", "host0", "host1"])
def test_many_devices_and_hosts_train_as_one(trained: Path, name: str) -> None:
    one, other = np.load(trained / "one-64.npz"), np.load(trained / f"{name}-64.npz")
    assert one.files == other.files
    for key in one.files:
        # Only sums in another order tell them apart: 20 steps in float64 make 1e-13 of it.
        np.testing.assert_allclose(other[key], one[key], rtol=0, atol=1e-9)
    assert one[one.files[-1]] > 0  # ψ's integral: the controller had something to do


def test_the_first_gradient_is_the_same_in_float32(trained: Path) -> None:
    one, other = np.load(trained / "one-32.npz"), np.load(trained / "two-32.npz")
    slots = [key for key in one.files if one[key].ndim]
    whole = np.sqrt(sum(np.sum(one[key].astype(float) ** 2) for key in slots))
    assert len(slots) >= 8 and whole > 0
    for key in slots:
        # float32 sums in another order; measured 5e-6.
        assert np.linalg.norm(other[key] - one[key]) < 1e-4 * whole


def test_metrics_are_of_all_replicas_and_only_the_chief_writes(trained: Path) -> None:
    one, two, host = (
        read_metrics(trained / f"{name}-64" / "metrics.csv") for name in ("one", "two", "host0")
    )
    assert len(one) == 20
    for others in (two, host):
        for ours, theirs in zip(one, others, strict=True):
            assert ours == pytest.approx(theirs, rel=1e-9)
    assert list((trained / "host0-64" / "checkpoints").glob("step-20.index"))
    assert list((trained / "host0-64" / "tensorboard").iterdir())
    assert not list((trained / "host1-64").iterdir())


@pytest.fixture
def file_source(tmp_path: Path) -> FileSource:
    rng = np.random.default_rng(0)
    pictures = []
    for number in range(16):
        path = tmp_path / f"{number}.png"
        Image.fromarray(rng.integers(0, 256, (12, 12, 3), np.uint8)).save(path)
        pictures.append(Picture(path, number, path.name, 0.0, None))
    info = datasets.DatasetInfo(
        "files", (12, 12, 3), tuple(map(str, range(16))), 16, 16, "", (0.5,) * 3, (0.25,) * 3
    )
    return FileSource(info, tmp_path, {"train": pictures, "test": pictures}, LeftOut())


@pytest.mark.parametrize("augmentation", ["none", "crop_flip", "imagenet"])
@pytest.mark.parametrize("streamed", [False, True])
def test_parts_of_a_batch_are_the_batch(
    augmentation: str, streamed: bool, file_source: FileSource
) -> None:
    source = file_source if streamed else datasets.load("fashion_mnist_mini")

    def second(rows: tuple[int, int] | None) -> tuple[np.ndarray, np.ndarray]:
        stream = source.train(6, seed=3, augmentation=augmentation, start_step=4, rows=rows)
        images, labels = next(iter(stream.skip(1)))
        return images.numpy(), labels.numpy()

    images, labels = second(None)
    parts = [second(rows) for rows in ((0, 2), (2, 3), (3, 6))]
    np.testing.assert_array_equal(np.concatenate([part[0] for part in parts]), images)
    np.testing.assert_array_equal(np.concatenate([part[1] for part in parts]), labels)


def test_rows_outside_the_batch_are_refused() -> None:
    with pytest.raises(InputError, match="rows must lie within a batch of 6"):
        datasets.load("fashion_mnist_mini").train(6, seed=0, rows=(3, 7))


def test_one_device_has_no_strategy_of_its_own() -> None:
    from tfrobust.runs import distribution

    strategy = distribution.choose()
    assert strategy is tf.distribute.get_strategy()
    assert distribution.place(strategy) == (0, 1)


@pytest.mark.parametrize(
    ("environment", "arguments", "said"),
    [
        ({"TF_CONFIG": "{"}, (), "expected in TF_CONFIG JSON"),
        (
            {"TF_CONFIG": '{"cluster": {"worker": ["a:1", "b:2"]}}'},
            (),
            "worker 0, worker 1",
        ),
        (
            {
                "TF_CONFIG": '{"cluster": {"worker": ["a:1", "b:2"]}, '
                '"task": {"type": "worker", "index": 0}}'
            },
            ("--cpu_devices=2",),
            "--cpu_devices 1 with TF_CONFIG",
        ),
    ],
    ids=["no JSON", "no task", "cpu_devices"],
)
def test_a_wrong_tf_config_is_refused_before_tensorflow_loads(
    environment: dict[str, str], arguments: tuple[str, ...], said: str, tmp_path: Path, root: Path
) -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", str(root / "tools" / "train.py"), *arguments],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, **environment},
    )
    assert done.returncode == 2
    assert said in done.stderr.splitlines()[-1]
    assert "tensorflow" not in done.stderr and "Traceback" not in done.stderr


def test_the_batch_must_be_a_multiple_of_the_devices(root: Path, tmp_path: Path) -> None:
    line = ["--cpu_devices=2", "--batch_size=21", "--max_steps=1", "--width=2"]
    done = programs.run([root / "tools" / "train.py", *line], cwd=tmp_path)
    assert done.returncode == 2
    assert "a multiple of the 2 devices, got 21" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.fixture
def alone(tmp_path: Path, root: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    def run(index: int) -> subprocess.CompletedProcess[str]:
        config = {
            "cluster": {"worker": [*free_addresses(1), "127.0.0.1:9"]},
            "task": {"type": "worker", "index": index},
        }
        return programs.run(
            [root / "tools" / "train.py", "--peer_timeout=1"],
            cwd=tmp_path,
            env={"TF_CONFIG": json.dumps(config)},
        )

    return run


def test_a_peer_that_never_comes_ends_the_program(alone: Callable) -> None:
    done = alone(0)
    assert done.returncode == 1
    assert "waited 1 s for worker 1 at 127.0.0.1:9, in vain" in done.stderr
    assert "Traceback" not in done.stderr
