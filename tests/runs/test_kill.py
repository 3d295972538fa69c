"""Kills at random moments: the same command goes on, and ends in the same bytes."""

import json
import os
import random
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import keras
import numpy as np
import pytest

import tfrobust.models  # noqa: F401  registers the layers of what is loaded
from tfrobust.runs.metrics_log import read_metrics

SEED = 1906


def newest_step(folder: Path) -> int:
    # By os.walk, which passes over folders that vanish meanwhile, as TensorFlow's temporary ones.
    names = [Path(name) for _, _, files in os.walk(folder) for name in files]
    steps = [int(name.stem.split("-")[1]) for name in names if name.match("step-*.index")]
    return max(steps, default=0)


def end_by_kills(command: Sequence[object], folder: Path, kills: int, log: Path) -> list[int]:
    """Runs a command again and again, each time killed; → the newest checkpoints' steps.

    A kill comes after up to three more checkpoints, at any moment of the time that steps and
    writing take between two; the first one may come before any checkpoint.
    """
    rng, killed = random.Random(SEED), []
    for count in range(kills):
        begun = newest_step(folder)
        with log.open("a") as output:
            process = subprocess.Popen(
                [sys.executable, *map(str, command)], stdout=output, stderr=subprocess.STDOUT
            )

        def wait(done: Callable[[], bool], process: subprocess.Popen[bytes] = process) -> None:
            deadline = time.monotonic() + 300
            while not done():
                assert process.poll() is None, f"ended unkilled: {log.read_text()[-2000:]}"
                assert time.monotonic() < deadline, log.read_text()[-2000:]
                time.sleep(0.001)

        period = 0.3
        if count == 0:
            wait(lambda: any(folder.rglob("metrics.csv")))
        else:
            wait(lambda step=begun: newest_step(folder) > step)
        for _ in range(rng.randrange(3) if count else 0):
            began, step = time.monotonic(), newest_step(folder)
            wait(lambda step=step: newest_step(folder) > step)
            period = time.monotonic() - began
        time.sleep(rng.uniform(0, period))
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL, "it ended before it was killed"
        killed.append(newest_step(folder))
        for table in folder.rglob("metrics.csv"):
            read_metrics(table)
    last = subprocess.run([sys.executable, *map(str, command)], capture_output=True, text=True)
    assert last.returncode == 0, last.stderr[-3000:]
    return killed


@pytest.mark.slow
def test_killed_three_times_a_training_ends_in_the_same_bytes(tmp_path: Path) -> None:
    script = Path(__file__).with_name("killed.py")
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    for folder in (whole, cut):
        folder.mkdir()
    subprocess.run([sys.executable, str(script), str(whole)], check=True, capture_output=True)
    killed = end_by_kills((script, cut), cut, 3, tmp_path / "log")
    assert max(killed) > 0
    one, other = np.load(whole / "end.npz"), np.load(cut / "end.npz")
    assert one.files == other.files and len(one.files) > 50
    for key in one.files:
        assert one[key].tobytes() == other[key].tobytes(), f"variable {key} after kills at {killed}"
    assert (whole / "metrics.csv").read_text() == (cut / "metrics.csv").read_text()
    names = {path.name for path in (cut / "checkpoints").iterdir()}
    assert names == {path.name for path in (whole / "checkpoints").iterdir()}


@pytest.fixture
def train_command(root: Path) -> Callable[[Path], tuple[object, ...]]:
    def command(folder: Path) -> tuple[object, ...]:
        return (
            root / "tools" / "train.py", "--width", 2, "--batch_size", 20, "--max_steps", 600,
            "--checkpoint_every", 5, "--loss_target", 2, "--runs_dir", folder / "runs",
            "--saved_models", folder / "models",
        )  # fmt: skip

    return command


@pytest.mark.slow
def test_the_program_killed_twenty_times_ends_in_the_same_bytes(
    train_command: Callable, tmp_path: Path
) -> None:
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    subprocess.run(
        [sys.executable, *map(str, train_command(whole))], check=True, capture_output=True
    )
    killed = end_by_kills(train_command(cut), cut, 20, tmp_path / "log")
    assert len(list((cut / "runs").iterdir())) == 1
    networks = []
    for folder in (whole, cut):
        (path,) = (folder / "models").rglob("network.keras")
        networks.append(keras.saving.load_model(path))
    for ours, theirs in zip(networks[0].variables, networks[1].variables, strict=True):
        same = ours.numpy().tobytes() == theirs.numpy().tobytes()
        assert same, f"{ours.path} after kills at {killed}"
    tables = [path.read_text() for path in sorted(tmp_path.rglob("metrics.csv"))]
    assert len(tables) == 2 and tables[0] == tables[1]


@pytest.mark.slow
def test_sigterm_on_two_devices_saves_and_says_so(root: Path, tmp_path: Path) -> None:
    command = [
        sys.executable, str(root / "tools" / "train.py"), "--cpu_devices=2", "--width=2",
        "--batch_size=20", "--max_steps=400", "--checkpoint_every=300", "--runs_dir", str(tmp_path),
        "--saved_models", str(tmp_path / "models"),
    ]  # fmt: skip
    log = tmp_path / "log"
    with log.open("w") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
    deadline = time.monotonic() + 300
    while "images/s" not in log.read_text():
        assert process.poll() is None and time.monotonic() < deadline, log.read_text()[-2000:]
        time.sleep(0.02)
    process.terminate()
    assert process.wait(timeout=60) == 130
    (run,) = tmp_path.glob("fashion_mnist_mini-*")
    step = newest_step(run)
    assert 0 < step < 300
    said = f"interrupted. Step {step} of 400 is saved. To go on: {shlex.join(command)}\n"
    assert log.read_text().endswith(said)
    assert [row["step"] for row in read_metrics(run / "metrics.csv")][-1] == step
    execution = json.loads((run / "config.json").read_text())["execution"]
    assert execution == {"jit": False, "devices": 2, "hosts": 1}


@pytest.mark.slow
def test_photographs_on_two_devices_killed_at_step_4(
    root: Path, shared: Path, tmp_path: Path
) -> None:
    command = [
        sys.executable, str(root / "tools" / "train.py"), "--dataset=imagenet2012", "--data_dir",
        str(shared / "tfds"), "--max_steps=6", "--depth=18", "--width=8", "--image_size=64",
        "--batch_size=4", "--cpu_devices=2", "--checkpoint_every=1", "--explain_every=1",
        "--ara_every=1",
    ]  # fmt: skip
    tables = []
    for name in ("whole", "cut"):
        folders = ["--runs_dir", str(tmp_path / name), "--saved_models", str(tmp_path / "models")]
        if name == "cut":
            process = subprocess.Popen([*command, *folders], stderr=subprocess.DEVNULL)
            while newest_step(tmp_path / name) < 4:
                assert process.poll() is None
                time.sleep(0.002)
            process.kill()
            process.wait()
        done = subprocess.run([*command, *folders], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-3000:]
        assert "smoke run, not a measurement" in done.stdout
        (table,) = (tmp_path / name).rglob("metrics.csv")
        tables.append(table.read_text())
    assert tables[0] == tables[1]
    assert "attack ARA of 32 images by linearized margin" in tables[0].splitlines()[0]
