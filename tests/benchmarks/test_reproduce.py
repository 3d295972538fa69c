"""Old figures beside new ones, and the leaderboard of the cards."""

import json
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
    told = "python benchmarks/training_speed.py"
    assert reproduce.command_of(told, "/mine")[2:] == ["--torch_python", "/mine"]
    told = "python benchmarks/serving.py --before PATH --seconds 5"
    assert reproduce.command_of(told, None)[2:] == ["--seconds", "5"]
    assert reproduce.command_of(told, None, "/old")[2:] == ["--before", "/old", "--seconds", "5"]


def test_every_result_tells_a_command_that_is_there(benchmark: Callable) -> None:
    reproduce = benchmark("reproduce")
    for path in reproduce.RESULTS.glob("*.json"):
        command = reproduce.command_of(reproduce.json.loads(path.read_text())["command"], None)
        assert (ROOT / command[1]).is_file(), path
        # It must not name a folder outside of the project, or another output.
        assert not any(word.startswith(("/tmp", "--output")) for word in command[1:]), path


def test_a_result_is_made_anew_or_stays(
    benchmark: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    reproduce = benchmark("reproduce")
    monkeypatch.setattr(reproduce, "ROOT", tmp_path)
    program = "import json, pathlib; p = pathlib.Path('x.json'); assert not p.exists(); {}"
    result = tmp_path / "x.json"
    for end, made in (("p.write_text(json.dumps({'a': 3, 'command': ''}))", True), ("", False)):
        (tmp_path / "x.py").write_text(program.format(end))
        result.write_text(reproduce.json.dumps({"command": "python x.py", "a": 2}))
        assert reproduce.again(result, None) == made
        assert f"| a | 2 | {3 if made else 2} |" in capsys.readouterr().out


def test_bad_arguments(program: Callable) -> None:
    done = program("reproduce", "--only", "nothing like it")
    assert done.returncode == 2 and "expected --only" in done.stderr


def test_the_recipes_that_were_tried_are_told(benchmark: Callable) -> None:
    search = benchmark("recipe_search")
    recipes = json.loads((search.ROOT / "benchmarks/results/recipe_search.json").read_text())
    page = (ROOT / "docs" / "figures" / "cifar10.md").read_text()
    for part in search.tables(recipes["recipes"]).split("minutes:\n\n")[1:]:
        assert part.rpartition("|")[0] in page


def test_the_leaderboard_is_of_what_is_shipped(benchmark: Callable, tmp_path: Path) -> None:
    shipped = json.loads((ROOT / "saved_models/fashion_mnist_mini/1/model_card.json").read_text())
    own = {**shipped, "figures": {"clean accuracy": 0.9}}  # as `make train` writes
    for number, card in ((1, shipped), (2, own)):
        (tmp_path / "mini" / str(number)).mkdir(parents=True)
        (tmp_path / "mini" / str(number) / "model_card.json").write_text(json.dumps(card))
    leaderboard = benchmark("leaderboard")
    assert list(leaderboard.cards(tmp_path)) == ["mini/1"]


def test_the_leaderboard_is_made_of_the_cards(benchmark: Callable) -> None:
    leaderboard = benchmark("leaderboard")
    folder = ROOT / "saved_models"
    made = "\n".join(leaderboard.lines(folder, leaderboard.RESULTS)) + "\n"
    assert made == (folder / "README.md").read_text()
    made = "\n".join(leaderboard.page(folder, leaderboard.RESULTS)) + "\n"
    assert made == (ROOT / "docs" / "figures" / "leaderboard.md").read_text()
