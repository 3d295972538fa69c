import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

TOOLS = Path(__file__).resolve().parents[2] / "tools"
Program = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def program() -> Program:
    """Runs a tool as a user does: program("train", "--epochs", 3) → what it printed."""

    def run(
        name: str, *arguments: object, cwd: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(TOOLS / f"{name}.py"), *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, cwd=cwd, timeout=600)

    return run


@pytest.fixture(scope="session")
def interrupted() -> Callable[..., tuple[int, str]]:
    """Runs a tool and signals it once a sign appears; → exit status and what it printed."""

    def run(
        arguments: Sequence[object],
        sign: Callable[[str], bool],
        log: Path,
        number: signal.Signals = signal.SIGINT,
    ) -> tuple[int, str]:
        with log.open("w") as output:
            process = subprocess.Popen(
                [sys.executable, *map(str, arguments)],
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
                # As from a terminal: pytest's own parent may have SIGINT ignored.
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
            )
        deadline = time.monotonic() + 300
        while not sign(log.read_text()):
            assert process.poll() is None, f"ended before the sign: {log.read_text()[-2000:]}"
            assert time.monotonic() < deadline, f"no sign: {log.read_text()[-2000:]}"
            time.sleep(0.02)
        process.send_signal(number)
        return process.wait(timeout=300), log.read_text()

    return run


@pytest.fixture(scope="session")
def tiny_run(program: Program, made_once: Callable[[str, Callable[[Path], None]], Path]) -> Path:
    """A folder with runs/ and saved_models/ of one smoke run of a very small network."""

    def train(folder: Path) -> None:
        done = program(
            "train", "--max_steps", 2, "--width", 2, "--batch_size", 20, "--full_card",
            "--runs_dir", folder / "runs", "--saved_models", folder / "saved_models",
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-3000:]
        (folder / "summary.txt").write_text(done.stdout)

    return made_once("tiny_run", train)
