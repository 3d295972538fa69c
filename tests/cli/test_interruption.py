"""Ctrl-C in each stage: nothing is lost, nothing half-written, the same command goes on."""

from collections.abc import Callable
from pathlib import Path

import pytest

TOOLS = Path(__file__).resolve().parents[2] / "tools"


@pytest.mark.slow
def test_every_stage_survives_ctrl_c(
    interrupted: Callable, program: Callable, tmp_path: Path
) -> None:
    arguments = (
        "--max_steps", 20, "--width", 2, "--batch_size", 20, "--runs_dir", tmp_path / "runs",
        "--saved_models", tmp_path / "models",
    )  # fmt: skip
    command = (TOOLS / "train.py", *arguments)
    log, exports = tmp_path / "log", tmp_path / "models" / "fashion_mnist_mini-smoke"

    def ends_well(sign: Callable[[str], bool], said: str) -> None:
        status, printed = interrupted(command, sign, log)
        assert status == 130, printed[-3000:]
        assert "interrupted." in printed and said in printed
        assert "Traceback" not in printed

    ends_well(lambda text: "loss=" in text, "goes on from the last step")
    (run,) = (tmp_path / "runs").iterdir()
    assert list((run / "checkpoints").glob("step-*.index"))
    ends_well(lambda text: "attacking" in text, "goes on from here")
    assert (run / "metrics.csv").read_text().count("\n") == 21
    ends_well(lambda _: any(exports.glob("*.tmp")), "goes on from here")
    assert not exports.exists()
    done = program("train", *arguments)
    assert done.returncode == 0, done.stderr[-3000:]
    assert [path.name for path in exports.iterdir()] == ["1"]
    assert list((tmp_path / "runs").iterdir()) == [run]


@pytest.mark.slow
def test_evaluate_goes_on_where_it_stopped(
    interrupted: Callable, program: Callable, tiny_run: Path, tmp_path: Path
) -> None:
    command = (
        TOOLS / "evaluate.py", "--model", tiny_run / "saved_models" / "fashion_mnist_mini-smoke",
        "--dataset", "fashion_mnist_mini", "--images", 3, "--preset", "fast", "--output", tmp_path,
    )  # fmt: skip
    status, printed = interrupted(
        command, lambda _: any((tmp_path / "evaluation").glob("*.npz")), tmp_path / "log"
    )
    assert status == 130
    assert "What was measured is kept" in printed
    assert not (tmp_path / "ara.json").exists()
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "evaluation").glob("*.npz")}
    done = program(*map(str, ("evaluate", *command[1:])))
    assert done.returncode == 0, done.stderr[-2000:]
    assert (tmp_path / "ara.json").exists()
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
