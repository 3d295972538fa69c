"""Evaluations that another process goes on with."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np

SCRIPT = Path(__file__).with_name("resumed.py")


def shard(folder: Path, number: int, seed: int) -> dict:
    """What one process says; strings have another hash in each."""
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(folder), str(number)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONHASHSEED": str(seed)},
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_an_attack_within_an_attack_is_resumed_by_another_process(tmp_path: Path) -> None:
    first = shard(tmp_path, 1, seed=1)
    # Two goals, units of six images, three attacks.
    assert first["before"] == [] and len(first["after"]) == 6
    kept = {name: (tmp_path / name).stat().st_mtime_ns for name in first["after"]}
    second = shard(tmp_path, 2, seed=2)
    assert second["before"] == first["after"] and len(second["after"]) == 12
    assert {name: (tmp_path / name).stat().st_mtime_ns for name in kept} == kept
    assert np.isfinite(second["rmse"]).all()
