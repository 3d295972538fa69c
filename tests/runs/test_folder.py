"""Run folders: which one a command goes on with, which ones it refuses, and old ones."""

import dataclasses
import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tfrobust import datasets
from tfrobust.datasets import DataSource
from tfrobust.errors import InputError
from tfrobust.runs import network_files
from tfrobust.runs.config import Config
from tfrobust.runs.folder import Run, finish, open_run, read
from tfrobust.runs.recipes import RECIPES, fashion_mnist_mini

HERE = Path(__file__).parent
CONFIG = fashion_mnist_mini()


@pytest.fixture(scope="module")
def source() -> DataSource:
    return datasets.load("fashion_mnist_mini")


def opened(
    source: DataSource,
    runs_dir: Path,
    config: Config = CONFIG,
    run_dir: Path | None = None,
    fresh: bool = False,
) -> Run:
    """A run that was opened, and cut short."""
    execution = {"jit": True, "devices": 1, "hosts": 1}
    with open_run(
        config, source, runs_dir=runs_dir, run_dir=run_dir, fresh=fresh, execution=execution
    ) as run:
        return run


def test_the_newest_unfinished_run_of_an_equal_configuration_goes_on(
    source: DataSource, tmp_path: Path
) -> None:
    first = opened(source, tmp_path).folder
    assert first.parent == tmp_path and first.name.startswith("fashion_mnist_mini-")
    assert opened(source, tmp_path).folder == first
    other = opened(source, tmp_path, CONFIG.replace({"training.epochs": 7})).folder
    assert other != first
    second = opened(source, tmp_path, fresh=True).folder
    assert second not in (first, other)
    assert opened(source, tmp_path).folder == second
    finish(second, model=tmp_path / "models" / "1", seconds=1.5)
    assert opened(source, tmp_path).folder == first
    finish(first, model=tmp_path / "models" / "2", seconds=1.5)
    assert opened(source, tmp_path).folder not in (first, second, other)


def test_config_json_holds_all_that_repeats_the_run(source: DataSource, tmp_path: Path) -> None:
    folder = opened(source, tmp_path).folder
    content = json.loads((folder / "config.json").read_text())
    assert content["schema"] == 2
    assert Config.from_json(content["config"]) == CONFIG == read(folder)
    assert content["execution"] == {"jit": True, "devices": 1, "hosts": 1}
    assert content["data"]["train_images"] == 10000 and len(content["data"]["classes"]) == 10
    assert {"python", "tensorflow", "keras", "cleverhans"} <= set(content["versions"])
    assert {"command", "machine", "started"} <= set(content)


def test_a_run_dir_of_another_run_is_refused(source: DataSource, tmp_path: Path) -> None:
    run_dir = tmp_path / "mine"
    assert opened(source, tmp_path, run_dir=run_dir).folder == run_dir
    assert opened(source, tmp_path, run_dir=run_dir).folder == run_dir
    with pytest.raises(InputError, match=r"another configuration \(`training.epochs`: 7 here, 6"):
        opened(source, tmp_path, CONFIG.replace({"training.epochs": 7}), run_dir=run_dir)
    with pytest.raises(InputError, match="`fresh` needs a new `run_dir`"):
        opened(source, tmp_path, run_dir=run_dir, fresh=True)
    changed = datasets.load("fashion_mnist_mini")
    changed.info = dataclasses.replace(changed.info, train_images=9999)
    with pytest.raises(InputError, match="the run of other images"):
        opened(changed, tmp_path, run_dir=run_dir)
    # Where no folder is named, a run of other images is simply another one.
    kept = opened(source, tmp_path / "runs").folder
    assert opened(changed, tmp_path / "runs").folder != kept


def test_a_run_does_not_go_on_with_another_network_of_the_same_name(
    source: DataSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    files = {
        "network.keras": {"network.architecture": str(tmp_path / "network.keras")},
        "digested_here.py": {"network.architecture": "python:digested_here:function"},
        "mine_no_top.h5": {
            "network.architecture": "keras:VGG16",
            "network.weights": str(tmp_path / "mine_no_top.h5"),
        },
        "teacher.keras": {"soft_labels.teacher": str(tmp_path / "teacher.keras")},
        "version/saved_model.pb": {"soft_labels.teacher": str(tmp_path / "version")},
        "teaches_here.py": {"soft_labels.teacher": "python:teaches_here:function"},
    }
    (tmp_path / "version").mkdir()
    for name, changes in files.items():
        config, run_dir = CONFIG.replace(changes), tmp_path / f"run of {Path(name).name}"
        (tmp_path / name).write_text("one = 1")
        opened(source, tmp_path, config, run_dir=run_dir)
        assert opened(source, tmp_path, config, run_dir=run_dir).folder == run_dir
        kept = opened(source, tmp_path / "runs", config).folder
        (tmp_path / name).write_text("one = 2")
        field = list(changes)[-1]
        with pytest.raises(InputError, match=f"another network: the file of `{field}` has changed"):
            opened(source, tmp_path, config, run_dir=run_dir)
        assert opened(source, tmp_path / "runs", config).folder != kept


def test_a_network_s_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    for changes in (
        {"network.architecture": "nowhere.keras"},
        {"network.architecture": "keras:VGG16", "network.weights": "nowhere.h5"},
    ):
        field, path = list(changes.items())[-1]
        with pytest.raises(InputError, match=f"`{field}` to be a file, .* nothing at {path}"):
            network_files.check(CONFIG.replace(changes).network)
    network_files.check(CONFIG.network)


def test_a_package_that_cannot_be_imported_is_left_to_who_looks_the_function_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "broken_package").mkdir()
    (tmp_path / "broken_package" / "__init__.py").write_text("1 / 0")
    config = CONFIG.replace({"network.architecture": "python:broken_package.networks:make"})
    network_files.check(config.network)
    assert network_files.digests(config.network) == {}


def test_a_run_does_not_go_on_with_other_labels(tmp_path: Path) -> None:
    root = tmp_path / "images"
    root.mkdir()
    names = [f"{number}.png" for number in range(8)]
    for number, name in enumerate(names):
        Image.fromarray(np.full((8, 8), 30 * number, np.uint8)).save(root / name)

    def labelled(labels: str, **columns: Sequence[str]) -> DataSource:
        """The pictures, of which the first four are trained on."""
        rows = {"file": names, "split": ["train"] * 4 + ["test"] * 4, "label": labels, **columns}
        lines = [",".join(row) for row in zip(*rows.values(), strict=True)]
        (tmp_path / "labels.csv").write_text("\n".join([",".join(rows), *lines]))
        return datasets.load(f"folder:{root}", labels=tmp_path / "labels.csv")

    first = labelled("aabbabab")
    run_dir, runs = tmp_path / "run", tmp_path / "runs"
    opened(first, runs, run_dir=run_dir)
    assert opened(labelled("aabbabab"), runs, run_dir=run_dir).folder == run_dir
    kept = opened(first, runs).folder
    for other in (
        labelled("ababaabb"),
        labelled("aabbabba"),
        labelled("aabbabab", weight="11112111"),
        labelled("abababab", split=["train", "test"] * 2 + ["test", "train"] * 2),
    ):
        assert other.info.train_images == first.info.train_images
        with pytest.raises(InputError, match="numbers of images, labels or splits have changed"):
            opened(other, runs, run_dir=run_dir)
        assert opened(other, runs).folder != kept
    # Before, no digest was noted: such a run goes on as it did.
    content = json.loads((run_dir / "config.json").read_text())
    del content["data"]["digest"]
    (run_dir / "config.json").write_text(json.dumps(content))
    assert opened(first, runs, run_dir=run_dir).folder == run_dir
    with pytest.raises(InputError, match="the run of other images"):
        opened(labelled("ccddcdcd"), runs, run_dir=run_dir)


def test_a_folder_of_something_else_is_refused(source: DataSource, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(InputError, match="to be empty or a run folder; it is neither"):
        opened(source, tmp_path, run_dir=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_two_processes_never_share_a_folder(source: DataSource, tmp_path: Path) -> None:
    folder = opened(source, tmp_path).folder
    holder = (
        "import sys, time\nfrom pathlib import Path\nfrom tfrobust.core.files import lock\n"
        "assert lock(Path(sys.argv[1])) is not None\nprint('held', flush=True)\ntime.sleep(600)"
    )
    command = [sys.executable, "-c", holder, str(folder / ".lock")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "held\n"
        assert opened(source, tmp_path).folder != folder
        with pytest.raises(InputError, match="in use by another process; name another `run_dir`"):
            opened(source, tmp_path, run_dir=folder)
        process.kill()
    # A killed process leaves no lock behind.
    assert opened(source, tmp_path, run_dir=folder).folder == folder


def test_a_damaged_file_is_an_input_error(tmp_path: Path) -> None:
    for name, texts in {
        "config.json": ("", "[]", "{}", '{"schema": 2, "config": 3}', '{"schema": 3}'),
        "recipe.json": ("", "[]", "{}", '{"recipe": 3}', '{"recipe": {"colour": "red"}}'),
    }.items():
        for text in texts:
            (tmp_path / name).write_text(text)
            with pytest.raises(InputError, match=rf"configuration at .*{name}, but it cannot be"):
                read(tmp_path)
        (tmp_path / name).unlink()
    with pytest.raises(InputError, match=r"config\.json, but it cannot be read"):
        read(tmp_path / "nowhere")


def test_a_run_of_version_0_1_is_read_and_goes_on(source: DataSource, tmp_path: Path) -> None:
    """recipe_0_1.json was written by version 0.1's tools/train.py, with the flags that it tells."""
    old = tmp_path / "fashion_mnist_mini-20261126-145728"
    old.mkdir()
    shutil.copy(HERE / "recipe_0_1.json", old / "recipe.json")
    config = CONFIG.replace(
        {
            "training.max_steps": 20,
            "network.width": 2,
            "training.batch_size": 20,
            "adversarial.method": "l2_min",
            "penalty.tandem": 0.5,
            "psi.initial": 1.0,
            "psi.gain": 0.3,
            "penalty.exponent": 1.5,
            "optimizer.learning_rate_drops": (0.3, 0.6),
            "watch.ara_every": 1,
            "watch.explain_every": 1,
            "training.checkpoint_every": 7,
        }
    )
    assert read(old) == config
    assert opened(source, tmp_path, config).folder == old
    assert [path.name for path in sorted(old.iterdir())] == [".lock", "recipe.json"]
    with pytest.raises(InputError, match="`seed`: 1 here, 0 there"):
        opened(source, tmp_path, config.replace({"seed": 1}), run_dir=old)


OLD_RECIPES = json.loads((HERE / "recipes_0_1.json").read_text())


@pytest.mark.parametrize("name", OLD_RECIPES)
def test_recipes_of_version_0_1_are_read(name: str, tmp_path: Path) -> None:
    recipe = {"schema": 1, "recipe": OLD_RECIPES[name]}
    (tmp_path / "recipe.json").write_text(json.dumps(recipe))
    config = RECIPES[name]()
    if config.training.epochs is None:  # version 0.1 had six, whatever the number of images
        config = config.replace({"training.epochs": 6})
    assert read(tmp_path) == config
