"""Ratios and summaries on rounds made by hand, and a worker that is no network at all."""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

# A small worker: it says something about itself, then steps when asked.
SLEEPER = """
import time, turns
turns.serve(turns.timed(lambda: time.sleep(0.01)), {"kind": "sleeper"})
"""
# It also works unasked, as an input pipeline that reads ahead. As seconds it gives its CPU time.
EAGER = """
import threading, time, turns
def work():
    while True:
        pass
threading.Thread(target=work, daemon=True).start()
turns.serve(lambda steps: [time.process_time()] * steps, {})
"""


@pytest.fixture
def turns(benchmark: Callable[[str], ModuleType]) -> ModuleType:
    return benchmark("turns")


@pytest.fixture
def started(turns: ModuleType, root: Path) -> Callable:
    """A worker that runs a script."""
    environment = {"PYTHONPATH": str(root / "benchmarks")}
    return lambda script: turns.Worker([sys.executable, "-c", script], environment)


def made_by_hand(*rounds: tuple[list[float], float, int]) -> SimpleNamespace:
    """A worker as `ratio` and `summary` read it: seconds, CPU seconds and MiB of each round."""
    names = ("seconds", "cpu_s", "peak_mib")
    return SimpleNamespace(
        rounds=[dict(zip(names, one, strict=True)) for one in rounds], facts={"parameters": 7}
    )


def test_a_ratio_is_of_rounds_so_that_a_slow_round_for_both_changes_nothing(
    turns: ModuleType,
) -> None:
    worker = made_by_hand(([2, 2, 9], 4, 10), ([20, 20, 20], 4, 10), ([3, 3, 3], 4, 10))
    base = made_by_hand(([1, 1, 1], 2, 10), ([10, 10, 10], 1, 10), ([1, 1, 1], 4, 10))
    assert turns.ratio(worker, base) == {"median": 2, "low": 2, "high": 3}
    assert turns.ratio(worker, base, cpu=True) == {"median": 2, "low": 1, "high": 4}


def test_a_ratio_wants_as_many_rounds_of_both(turns: ModuleType) -> None:
    with pytest.raises(ValueError, match="longer"):
        turns.ratio(made_by_hand(([1], 1, 1)), made_by_hand(([1], 1, 1), ([1], 1, 1)))


def test_a_summary_has_medians_of_all_steps_and_the_highest_peak(turns: ModuleType) -> None:
    assert turns.summary(made_by_hand(([1, 2], 5, 10), ([3, 100, 4], 7, 30))) == {
        "step_s": 3,
        "cpu_s": 6,
        "steps": 5,
        "steps_peak_mib": 30,
        "parameters": 7,
    }


def test_a_worker_takes_its_turns(turns: ModuleType, started: Callable) -> None:
    with started(SLEEPER) as worker:
        worker.turn(3)
        worker.turn(1)
    assert worker.facts["kind"] == "sleeper"
    assert [len(one["seconds"]) for one in worker.rounds] == [3, 1]
    # Sleeping takes time and no CPU time.
    assert turns.summary(worker)["step_s"] >= 0.01 > turns.summary(worker)["cpu_s"]


def test_between_its_turns_a_worker_stands_still(started: Callable) -> None:
    with started(EAGER) as worker:
        worker.turn(1)
        time.sleep(1)
        worker.turn(1)
    before, after = (one["seconds"][0] for one in worker.rounds)
    assert after - before < 0.5


def test_a_worker_that_ends_is_named(started: Callable) -> None:
    with pytest.raises(RuntimeError, match=r"ended with 3: .* raise SystemExit"):
        started("raise SystemExit(3)")
