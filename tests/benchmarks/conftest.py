import importlib
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture
def benchmark(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], ModuleType]:
    """Imports a program of benchmarks/, which finds its neighbours as when it is run."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module


@pytest.fixture
def program() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs a program of benchmarks/ as a user does."""

    def run(name: str, *arguments: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(BENCHMARKS / f"{name}.py"), *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, timeout=60)

    return run
