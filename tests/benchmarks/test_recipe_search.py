"""The search of recipes by Ray Tune: a trial's row is kept, and not sought again."""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest


@pytest.mark.slow
def test_a_recipe_is_searched_once(root: Path, tmp_path: Path) -> None:
    pytest.importorskip("ray")
    # In a copy, so that its runs/ is not the clone's.
    (tmp_path / "benchmarks").mkdir()
    programs = ("recipe_search", "search_recipes", "search_steps", "search_tables", "turns")
    for name in (f"{program}.py" for program in programs):
        (tmp_path / "benchmarks" / name).write_bytes((root / "benchmarks" / name).read_bytes())
    (tmp_path / "benchmarks" / "results").mkdir()
    command = [
        sys.executable, "benchmarks/recipe_search.py", "--dataset", "fashion_mnist_mini",
        "--images", "2", "--only", "first: plain",
    ]  # fmt: skip
    tables = []
    for more in (["--measure_steps"], ["--minutes", "0.02"], ["--minutes", "0.02"]):
        done = subprocess.run(
            [*command, *more],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONPATH": str(root)},
        )
        assert done.returncode == 0, done.stderr[-3000:]
        tables.append(done.stdout)
    assert tables[1].endswith(tables[2]) and "| plain |" in tables[2]
    written = json.loads(
        (tmp_path / "benchmarks/results/recipe_search_fashion_mnist_mini.json").read_text()
    )
    (row,) = written["recipes"]["0.02"].values()
    assert row["minutes"] == 0.02 and row["steps"] >= 1 and row["images"] == 2
    assert row["step_s"] == written["step_seconds"]["first: plain"]["seconds"] > 0
    assert row["measured"] == "before, in turns"
    assert 0 <= row["attack_ara"]["value"] < 1
    assert "--minutes 0.02 --images 2 --no-jit --only 'first: plain'" in row["command"]


def test_rows_of_other_minutes_stay_and_have_a_table_of_their_own(benchmark: Callable) -> None:
    search = benchmark("recipe_search")
    area = {"value": 0.01, "low": 0.008, "high": 0.012}
    row = {"images_seen": 2000, "clean_accuracy": 0.5, "attack_ara": area, "btr_ara": area}
    name = "attack of 1 step"
    told = search.tables({"15": {name: row}, "4": {name: row, "first: plain": row}})
    assert [line for line in told.splitlines() if line.endswith("minutes:")] == [
        "4 minutes:", "4 minutes:", "15 minutes:",
    ]  # fmt: skip
    assert told.count(f"| {name} | 2,000 | 0.500 | 0.0100 [0.0080, 0.0120] |") == 2
    told = search.table({name: {**row, "measured": "in the trial"}})
    assert f"| {name} (seconds of its own) | 2,000 |" in told


def test_a_row_is_of_its_recipe_as_it_was(benchmark: Callable, monkeypatch) -> None:
    search, recipes = benchmark("recipe_search"), benchmark("search_recipes")
    name = "attack of 1 step, 2.0"
    flags = argparse.Namespace(dataset="cifar10", data_dir="here", images=300, minutes=4)
    rows = {name: {**recipes.about(name, flags), "images": 300}}
    folder = search.folder_of(name, flags)
    elsewhere = argparse.Namespace(**{**vars(flags), "data_dir": "there"})
    assert search.is_done(rows, name, elsewhere) and search.folder_of(name, elsewhere) == folder
    for change in ({"images": 100}, {"dataset": "fashion_mnist_mini"}):
        assert not search.is_done(rows, name, argparse.Namespace(**{**vars(flags), **change}))
    assert not search.is_done({}, name, flags) and not search.is_done({name: {}}, name, flags)
    changed = {**recipes.RECIPES[name], "adversarial.steps": 2}
    monkeypatch.setitem(recipes.RECIPES, name, changed)
    assert not search.is_done(rows, name, flags) and search.folder_of(name, flags) != folder


@pytest.mark.parametrize("part", ["attack of 1 step", "penalty", "norm", "TRADES"])
def test_every_recipe_is_a_configuration(benchmark: Callable, part: str) -> None:
    """A wrong field or a contradiction would else be found when its turn comes, hours later."""
    recipes = benchmark("search_recipes")
    flags = argparse.Namespace(dataset="cifar10", data_dir=None)
    names = [name for name in recipes.RECIPES if part in name]
    for name in names:
        config = recipes.config_of(name, flags).replace(recipes.averaged(name, 200))
        assert config.network.depth == 8 and config.data.held_out == recipes.HELD_OUT
        assert config.optimizer.weight_average == (0.95 if name in recipes.FAIR else 0.0)
    assert names


def test_rows_of_searches_beside_each_other_stay(benchmark: Callable, tmp_path: Path) -> None:
    search = benchmark("recipe_search")
    area = {"value": 0.01, "low": 0.008, "high": 0.012}
    row = {"images_seen": 2000, "clean_accuracy": 0.5, "attack_ara": area, "btr_ara": area}
    flags = argparse.Namespace(
        output=tmp_path / "rows.json", minutes=4, data_dir="d", images=8, jit=False
    )
    names = [f"row {number}" for number in range(40)]
    with ThreadPoolExecutor(8) as several:
        list(several.map(lambda name: search.keep(name, row, flags), names))
    assert set(json.loads(flags.output.read_text())["recipes"]["4"]) == set(names)
