import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import programs
import pytest

TOOLS = Path(__file__).resolve().parents[2] / "tools"
Program = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def program() -> Program:
    """Runs a tool as a user does: program("train", "--epochs", 3) → what it printed."""

    def run(
        name: str, *arguments: object, cwd: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        return programs.run([TOOLS / f"{name}.py", *arguments], cwd=cwd)

    return run


@pytest.fixture(scope="session")
def interrupted() -> Callable[..., tuple[int, str]]:
    """Runs a tool and signals it once a sign appears; → exit status and what it printed."""

    def run(
        command: Sequence[object],
        sign: Callable[[str], bool],
        log: Path,
        number: signal.Signals = signal.SIGINT,
    ) -> tuple[int, str]:
        log.touch()
        process = programs.start(command, log, log)
        deadline = time.monotonic() + 300
        while not sign(log.read_text()):
            assert process.is_alive(), f"ended before the sign: {log.read_text()[-2000:]}"
            assert time.monotonic() < deadline, f"no sign: {log.read_text()[-2000:]}"
            time.sleep(0.02)
        os.kill(process.pid, number)
        process.join(300)
        return process.exitcode, log.read_text()

    return run


@pytest.fixture(scope="session")
def tiny_run(program: Program, made_once: Callable[[str, Callable[[Path], None]], Path]) -> Path:
    """A folder with runs/ and saved_models/ of one smoke run of a very small network."""

    import keras
    import small_runs

    def train(folder: Path) -> None:
        keras.utils.set_random_seed(0)
        small_runs.network((28, 28, 1), 10).save(folder / "network.keras")
        done = program(
            "train", "--max_steps", 2, "--architecture", folder / "network.keras",
            "--batch_size", 20, "--runs_dir", folder / "runs", "--saved_models",
            folder / "saved_models",
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-3000:]
        (folder / "summary.txt").write_text(done.stdout)

    return made_once("tiny_run", train)
