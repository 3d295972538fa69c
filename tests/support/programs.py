"""Runs Python files as programs, in processes that begin with TensorFlow imported.

The import takes several seconds of CPU, and a program that measures a small network little more.
Where it matters when something is imported, a test starts an interpreter of its own.
"""

import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from multiprocessing.context import ForkServerProcess
from pathlib import Path

# One process a worker imports all of it, computes nothing, and forks for each program.
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["tensorflow", "keras", "tfrobust.runs.stages"])
PATIENCE = 600  # seconds for a program


def run(
    command: Sequence[object], *, cwd: Path | None = None, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Runs a program to its end.

    Args:
        command: the file and its arguments.
        cwd: the folder to run it in.
        env: what is added to the environment.
    """
    with tempfile.TemporaryDirectory() as folder:
        logs = Path(folder, "stdout"), Path(folder, "stderr")
        process = start(command, *logs, cwd=cwd, env=env)
        process.join(PATIENCE)
        if process.exitcode is None:
            process.kill()
            raise subprocess.TimeoutExpired([str(word) for word in command], PATIENCE)
        printed = [log.read_text() for log in logs]
    return subprocess.CompletedProcess(command, process.exitcode, *printed)


def start(
    command: Sequence[object],
    stdout: Path,
    stderr: Path,
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
) -> ForkServerProcess:
    """Starts a program, which writes what it prints to two files, or to one if they are equal."""
    arguments = ([str(word) for word in command], stdout, stderr, cwd or Path.cwd(), env or {})
    process = FORKS.Process(target=_as_main, args=arguments)
    process.start()
    return process


def _as_main(
    command: list[str], stdout: Path, stderr: Path, cwd: Path, env: Mapping[str, str]
) -> None:
    for number, path in ((1, stdout), (2, stderr)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND), number)
    # As from a terminal: pytest's own parent may have SIGINT ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.update(env)
    os.chdir(cwd)
    sys.argv, sys.orig_argv = command, [sys.executable, *command]
    sys.path[0] = str(Path(command[0]).parent)
    runpy.run_path(command[0], run_name="__main__")
