"""Old figures beside new ones, and the leaderboard of the cards."""

from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def test_old_beside_new(benchmark: Callable) -> None:
    reproduce = benchmark("reproduce")
    old = {"a": {"b": 2.0, "met": True}, "c": 1, "machine": {"cores": 2}, "gone": 3}
    new = {"a": {"b": 3.0, "met": True}, "c": 1, "machine": {"cores": 4}}
    assert reproduce.side_by_side(old, new).splitlines()[2:] == [
        "| a / b | 2 | 3 | 1.500 |",
        "| c | 1 | 1 | 1.000 |",
        "| gone | 3 | – | – |",
    ]


def test_commands_are_for_this_machine(benchmark: Callable) -> None:
    reproduce = benchmark("reproduce")
    told = "python benchmarks/x.py --torch_python /other/python --rounds 4"
    assert reproduce.command_of(told, None)[1:] == ["benchmarks/x.py", "--rounds", "4"]
    assert "/mine" in reproduce.command_of(told, "/mine")


def test_every_result_tells_a_command_that_is_there(benchmark: Callable) -> None:
    reproduce = benchmark("reproduce")
    for path in reproduce.RESULTS.glob("*.json"):
        command = reproduce.command_of(reproduce.json.loads(path.read_text())["command"], None)
        assert (ROOT / command[1]).is_file(), path


def test_bad_arguments(program: Callable) -> None:
    done = program("reproduce", "--only", "nothing like it")
    assert done.returncode == 2 and "expected --only" in done.stderr


@pytest.mark.skipif(not list(ROOT.glob("saved_models/*/1")), reason="nothing is shipped yet")
def test_the_leaderboard_is_made_of_the_cards(benchmark: Callable) -> None:
    leaderboard = benchmark("leaderboard")
    folder = ROOT / "saved_models"
    made = "\n".join(leaderboard.lines(folder, leaderboard.RESULTS)) + "\n"
    assert made == (folder / "README.md").read_text()
