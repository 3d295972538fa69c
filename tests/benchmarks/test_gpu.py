"""The script for a quarter of an hour on a GPU: what it runs, and that no part costs another."""

import json
import os
import subprocess
import sys
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture
def gpu(benchmark: Callable[[str], ModuleType]) -> ModuleType:
    return benchmark("gpu")


def test_every_part_is_run_and_has_time(gpu: ModuleType) -> None:
    listed = gpu.commands(Namespace(on="GPU", parts=",".join(gpu.LIMITS)))
    assert list(dict.fromkeys(part for part, _ in listed)) == list(gpu.LIMITS)
    # Three precisions, compiled and not.
    ways = {tuple(command[-2:]) for part, command in listed if part == "steps"}
    assert len(ways) == 6 and ("tf32", "compiled") in ways
    assert sum(part == "steps" for part, _ in gpu.commands(Namespace(on="CPU", parts="steps"))) == 2


def test_a_part_that_hangs_or_fails_is_told_with_its_output(
    gpu: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    late = gpu.run(["never"], 3, {})
    assert late["ended"] == "left out, as there was no time"
    monkeypatch.setattr(gpu, "LEAST", 0.0)
    hangs = "import time; print('begun', flush=True); time.sleep(60)"
    told = gpu.run([sys.executable, "-c", hangs], 0.5, dict(os.environ))
    assert told["ended"] == "stopped after 0 s" and told["output"] == "begun\n"
    fails = gpu.run([sys.executable, "-c", "1 / 0"], 60, dict(os.environ))
    assert fails["ended"] == "with status 1" and "ZeroDivisionError" in fails["output"]


@pytest.mark.slow
def test_it_says_where_there_is_no_gpu_and_can_be_tried_without(root: Path, tmp_path: Path) -> None:
    command = [sys.executable, str(root / "benchmarks" / "gpu.py"), "--output", tmp_path / "x.json"]
    environment = {**os.environ, "PYTHONPATH": str(root), "CUDA_VISIBLE_DEVICES": ""}
    none = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert none.returncode == 3 and "no GPU here" in none.stderr
    assert not (tmp_path / "x.json").exists()
    tried = subprocess.run(
        [*command, "--on=CPU", "--parts=two,presets", "--minutes=60"],
        capture_output=True,
        text=True,
        env=environment,
    )
    assert tried.returncode == 0, tried.stdout + tried.stderr
    rows = json.loads((tmp_path / "x.json").read_text())["rows"]
    assert [row["part"] for row in rows] == ["two", "presets", "presets"]
