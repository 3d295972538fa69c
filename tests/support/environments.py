"""Distributions that must not be, or cannot be, in the tests' environment."""

import subprocess
import sys
import venv
from pathlib import Path

import pytest


def installed(folder: Path, *requirements: str | Path) -> Path:
    """The Python of a new environment with some distributions, and what these need.

    Skips the test where pip cannot have them.

    Args:
        folder: where the environment is made.
        requirements: as pip takes them.
    """
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    _pip(python, *requirements)
    return python


def beside_ours(folder: Path, *requirements: str) -> Path:
    """A folder for PYTHONPATH with some distributions alone, for this environment's Python.

    Skips the test where pip cannot have them.

    Args:
        folder: where they are put.
        requirements: as pip takes them.
    """
    _pip(Path(sys.executable), "--no-deps", "--target", folder, *requirements)
    return folder


def _pip(python: Path, *arguments: str | Path) -> None:
    command = [python, "-m", "pip", "install", "--quiet", *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        asked = " ".join(str(one) for one in arguments)
        pytest.skip(f"pip has no {asked} here: {done.stderr.strip().splitlines()[-1]}")
