"""Evaluations that another process goes on with."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import programs
import pytest

SCRIPT = Path(__file__).with_name("resumed.py")


def told(done: subprocess.CompletedProcess[str]) -> dict:
    """What a process says at its end."""
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.slow
def test_an_attack_within_an_attack_is_resumed_by_another_process(tmp_path: Path) -> None:
    first = told(programs.run([SCRIPT, tmp_path, 1]))
    # Two goals, units of six images, three attacks.
    assert first["before"] == [] and len(first["after"]) == 6
    kept = {name: (tmp_path / name).stat().st_mtime_ns for name in first["after"]}
    # An interpreter of its own, in which strings have other hashes.
    environment = {**os.environ, "PYTHONHASHSEED": "2"}
    command = [sys.executable, str(SCRIPT), str(tmp_path), "2"]
    second = told(subprocess.run(command, capture_output=True, text=True, env=environment))
    assert second["before"] == first["after"] and len(second["after"]) == 12
    assert {name: (tmp_path / name).stat().st_mtime_ns for name in kept} == kept
    assert np.isfinite(second["rmse"]).all()
