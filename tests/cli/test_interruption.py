"""Ctrl-C in each stage: nothing is lost, nothing half-written, the same command goes on."""

import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tfrobust.runs.metrics_log import read_metrics

TOOLS = Path(__file__).resolve().parents[2] / "tools"


def test_sigterm_loses_no_step(interrupted: Callable, tmp_path: Path) -> None:
    command = (
        TOOLS / "train.py", "--fresh", "--nojit", "--width", 2, "--batch_size", 20, "--runs_dir",
        tmp_path / "runs", "--saved_models", tmp_path / "models",
    )  # fmt: skip
    status, printed = interrupted(
        command, lambda text: " 1/" in text, tmp_path / "log", signal.SIGTERM
    )
    assert status == 130, printed[-3000:]
    (run,) = (tmp_path / "runs").iterdir()
    (said,) = re.findall(r"Step (\d+) of 3000 is saved. To go on: (.*)\n$", printed)
    begun = max(int(number) for number in re.findall(r" (\d+)/3000 ", printed))
    assert int(said[0]) >= begun
    assert (run / "checkpoints" / f"step-{said[0]}.index").exists()
    assert [row["step"] for row in read_metrics(run / "metrics.csv")] == [
        *range(1, int(said[0]) + 1)
    ]
    # --fresh would begin anew.
    same = [sys.executable, *(str(word) for word in command if word != "--fresh")]
    assert said[1] == " ".join(same)


PROGRAM = """
import hashlib
from absl import flags
from tfrobust.cli import program
from tfrobust.core.interruption import deferred

def main(values):
    with deferred():
        print("at work", flush=True)
        hashlib.pbkdf2_hmac("sha256", b"", b"", 10**9)  # minutes that no handler interrupts

program.run(main, flags.FlagValues(), "")
"""


def test_a_second_ctrl_c_ends_at_once(root: Path, tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        cwd=root,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    assert process.stdout.readline() == "at work\n"
    process.send_signal(signal.SIGINT)
    assert "Ctrl-C again ends it at once" in process.stderr.readline() + process.stderr.readline()
    assert process.poll() is None
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=60) == 130
    assert time.monotonic() - began < 5
    assert process.stderr.read() == "\ninterrupted again: ended at once\n"


@pytest.mark.slow
def test_every_stage_survives_ctrl_c(
    interrupted: Callable, program: Callable, tmp_path: Path
) -> None:
    arguments = (
        "--max_steps", 20, "--width", 2, "--batch_size", 20, "--runs_dir", tmp_path / "runs",
        "--saved_models", tmp_path / "models",
    )  # fmt: skip
    command = (TOOLS / "train.py", *arguments)
    log, exports = tmp_path / "log", tmp_path / "models" / "fashion_mnist_mini-smoke"

    def ends_well(sign: Callable[[str], bool], said: str) -> None:
        status, printed = interrupted(command, sign, log)
        assert status == 130, printed[-3000:]
        assert "interrupted." in printed and said in printed
        assert "Traceback" not in printed

    ends_well(lambda text: "loss=" in text, "is saved. To go on: ")
    (run,) = (tmp_path / "runs").iterdir()
    assert list((run / "checkpoints").glob("step-*.index"))
    ends_well(lambda text: "attacking" in text, "So is what was measured. To go on: ")
    assert (run / "metrics.csv").read_text().count("\n") == 21
    ends_well(
        lambda _: any(exports.glob("*.tmp")),
        "So is what was measured. To go on: ",
    )
    assert not exports.exists()
    done = program("train", *arguments)
    assert done.returncode == 0, done.stderr[-3000:]
    assert [path.name for path in exports.iterdir()] == ["1"]
    assert list((tmp_path / "runs").iterdir()) == [run]


@pytest.mark.slow
def test_evaluate_goes_on_where_it_stopped(
    interrupted: Callable, program: Callable, tiny_run: Path, tmp_path: Path
) -> None:
    command = (
        TOOLS / "evaluate.py", "--model", tiny_run / "saved_models" / "fashion_mnist_mini-smoke",
        "--dataset", "fashion_mnist_mini", "--images", 3, "--preset", "fast", "--output", tmp_path,
    )  # fmt: skip
    status, printed = interrupted(
        command, lambda _: any((tmp_path / "evaluation").glob("*.npz")), tmp_path / "log"
    )
    assert status == 130
    assert "What was measured is kept" in printed
    assert not (tmp_path / "ara.json").exists()
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "evaluation").glob("*.npz")}
    done = program(*map(str, ("evaluate", *command[1:])))
    assert done.returncode == 0, done.stderr[-2000:]
    assert (tmp_path / "ara.json").exists()
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
