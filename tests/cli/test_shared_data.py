"""The programs on real CIFAR-10 and ImageNet photographs, on networks cut small."""

from collections.abc import Callable
from pathlib import Path

import pytest

CIFAR10 = ("--dataset", "cifar10", "--max_steps", 2, "--depth", 8, "--width", 4, "--batch_size", 16)
IMAGENET = (
    "--dataset", "imagenet2012", "--max_steps", 2, "--depth", 18, "--width", 4, "--image_size", 64,
    "--batch_size", 4,
)  # fmt: skip
# As in the README, whole: minutes each.
WHOLE_CIFAR10 = ("--dataset", "cifar10", "--epochs", 1, "--max_steps", 20)
WHOLE_IMAGENET = ("--dataset", "imagenet2012", "--max_steps", 4, "--batch_size", 8)


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(CIFAR10, id="cifar10"),
        pytest.param(IMAGENET, id="imagenet2012"),
        pytest.param(WHOLE_CIFAR10, id="cifar10-whole", marks=pytest.mark.slow),
        pytest.param(WHOLE_IMAGENET, id="imagenet2012-whole", marks=pytest.mark.slow),
    ],
)
def test_real_photographs_run_to_the_end(
    arguments: tuple, program: Callable, shared: Path, tmp_path: Path
) -> None:
    folders = ("--runs_dir", tmp_path / "runs", "--saved_models", tmp_path / "models")
    done = program("train", *arguments, "--data_dir", shared / "tfds", *folders)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "smoke run, not a measurement" in done.stdout
    assert list((tmp_path / "models").glob("*/1/classifier.onnx"))
    (page,) = (tmp_path / "runs").glob("*/report.html")
    assert "smoke run, not a measurement" in page.read_text()


def test_an_absent_set_says_how_to_obtain_it(
    program: Callable, shared: Path, tmp_path: Path
) -> None:
    done = program("train", "--dataset", "cifar100", "--data_dir", shared / "tfds", cwd=tmp_path)
    assert done.returncode == 2
    assert "cifar10, imagenet2012" in done.stderr
    assert "Traceback" not in done.stderr
