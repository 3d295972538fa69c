"""An evaluation in parts, by one process or several, gives the same as one run."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def measure(program: Callable, tiny_run: Path) -> Callable:
    """Measures four images with the tiny network into a folder."""
    model = tiny_run / "saved_models" / "fashion_mnist_mini-smoke"

    def run(folder: Path, *more: object):
        return program(
            "evaluate", "--model", model, "--dataset", "fashion_mnist_mini", "--images", 4,
            "--preset", "fast", "--output", folder, *more,
        )  # fmt: skip

    return run


@pytest.fixture(scope="module")
def whole(measure: Callable, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of one run."""
    folder = tmp_path_factory.mktemp("whole")
    assert measure(folder).returncode == 0
    return folder


def found(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (folder / "evaluation").glob("*.npz")}


@pytest.mark.slow
def test_shards_merged_are_one_run(measure: Callable, whole: Path, tmp_path: Path) -> None:
    done = measure(tmp_path, "--shard", "2/2")
    assert done.returncode == 0, done.stderr[-2000:]
    assert "--merge" in done.stdout and not (tmp_path / "ara.json").exists()
    early = measure(tmp_path, "--merge")
    assert early.returncode == 2
    assert "units are not" in early.stderr and "Traceback" not in early.stderr
    assert measure(tmp_path, "--shard", "1/2").returncode == 0
    assert measure(tmp_path, "--merge").returncode == 0
    assert found(tmp_path) == found(whole) != {}
    one, other = (json.loads((folder / "ara.json").read_text()) for folder in (tmp_path, whole))
    assert one["attack_ara"] == other["attack_ara"] and one["btr_ara"] == other["btr_ara"]


@pytest.mark.slow
def test_workers_give_the_same_bytes(measure: Callable, whole: Path, tmp_path: Path) -> None:
    done = measure(tmp_path, "--workers", 2)
    assert done.returncode == 0, done.stderr[-2000:]
    assert (tmp_path / "report.html").exists()
    assert found(tmp_path) == found(whole)


@pytest.mark.slow
def test_another_evaluation_is_refused_by_a_worker_too(
    measure: Callable, whole: Path, tmp_path: Path
) -> None:
    before = found(whole)
    done = measure(whole, "--bounds", "0,1", "--workers", 2)
    assert done.returncode == 2
    assert "of another" in done.stderr and "Traceback" not in done.stderr
    assert found(whole) == before
    # --fresh says that the other is no longer wanted.
    done = measure(whole, "--bounds", "0,1", "--fresh")
    assert done.returncode == 0, done.stderr[-2000:]
