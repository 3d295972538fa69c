"""The search of recipes by Ray Tune: a trial's row is kept, and not sought again."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
def test_a_recipe_is_searched_once(root: Path, tmp_path: Path) -> None:
    pytest.importorskip("ray")
    # In a copy, so that its runs/ is not the clone's.
    (tmp_path / "benchmarks").mkdir()
    for name in ("recipe_search.py", "turns.py"):
        (tmp_path / "benchmarks" / name).write_bytes((root / "benchmarks" / name).read_bytes())
    (tmp_path / "benchmarks" / "results").mkdir()
    command = [
        sys.executable, "benchmarks/recipe_search.py", "--dataset", "fashion_mnist_mini",
        "--minutes", "0.02", "--images", "2", "--only", "plain",
    ]  # fmt: skip
    tables = []
    for _ in range(2):
        done = subprocess.run(
            command,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONPATH": str(root)},
        )
        assert done.returncode == 0, done.stderr[-3000:]
        tables.append(done.stdout)
    assert tables[0].endswith(tables[1]) and "| plain |" in tables[1]
    written = tmp_path / "benchmarks" / "results" / "recipe_search.json"
    (row,) = json.loads(written.read_text())["recipes"].values()
    assert row["minutes"] == 0.02 and row["steps"] >= 1 and row["images"] == 2
    assert 0 <= row["attack_ara"]["value"] < 1
    assert "--minutes 0.02 --images 2 --no-jit --only 'plain'" in row["command"]
