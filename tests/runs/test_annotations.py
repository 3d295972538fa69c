"""A run that takes people's marks: checked early, told apart by them, and resumed with them."""

from pathlib import Path

import numpy as np
import pytest
from small_runs import INFO, Interrupt

from tfrobust import datasets
from tfrobust.datasets import annotations
from tfrobust.datasets.annotations import EVIDENCE, Annotation
from tfrobust.errors import InputError
from tfrobust.runs import build, folder
from tfrobust.runs.annotations_section import AnnotationsConfig
from tfrobust.runs.loop import fit
from tfrobust.runs.metrics_log import read_metrics
from tfrobust.runs.recipes import fashion_mnist_mini


def mark(into: Path, shape: tuple[int, int, int], seed: int = 0, rows: int | None = None) -> None:
    """Marks a random picture: its upper half, or so many rows, are the evidence."""
    marks = np.zeros(shape[:2], np.uint8)
    marks[: rows or shape[0] // 2] = EVIDENCE
    image = np.random.default_rng(seed).integers(0, 256, shape, np.uint8)
    annotations.write(
        into,
        Annotation(
            image=image, marks=marks, name="x", who="a", when="", network={}, told={}
        ),
    )  # fmt: skip


def test_the_folder_becomes_a_penalty(tmp_path: Path) -> None:
    assert build.evidence(AnnotationsConfig()) is None
    for seed in range(3):
        mark(tmp_path, (6, 4, 3), seed)
    found = build.evidence(AnnotationsConfig(folder=str(tmp_path), weight=2.0))
    assert found is not None and found.weight == 2.0
    assert found.images.shape == (3, 6, 4, 3) and found.outside[:, 3:].all()
    assert not found.outside[:, :3].any()
    mark(tmp_path / "all", (6, 4, 3), rows=6)
    with pytest.raises(InputError, match="x has none: mark it anew"):
        build.evidence(AnnotationsConfig(folder=str(tmp_path / "all")))
    mark(tmp_path, (8, 4, 3))
    with pytest.raises(InputError, match="of one size"):
        build.evidence(AnnotationsConfig(folder=str(tmp_path)))


def test_what_is_missing_is_said_before_the_training(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"expected `annotations\.folder`"):
        AnnotationsConfig(weight=1.0)
    with pytest.raises(InputError, match="there are none"):
        AnnotationsConfig(folder=str(tmp_path)).check()


def test_a_run_of_other_marks_is_another_run(tmp_path: Path) -> None:
    mark(tmp_path / "marks", INFO.image_shape)
    config = fashion_mnist_mini().replace({"annotations.folder": str(tmp_path / "marks")})
    source = datasets.load("fashion_mnist_mini")
    run_dir = tmp_path / "run"
    for _ in range(2):  # the second time it goes on
        with folder.open_run(config, source, runs_dir=tmp_path, run_dir=run_dir, execution={}):
            pass
    mark(tmp_path / "marks", INFO.image_shape, seed=1)
    with (
        pytest.raises(InputError, match="the run of other marks"),
        folder.open_run(config, source, runs_dir=tmp_path, run_dir=run_dir, execution={}),
    ):
        pass


@pytest.mark.slow
def test_a_resumed_run_ends_as_one_that_was_not_interrupted(tmp_path: Path) -> None:
    for seed in range(40):  # more than a batch has
        mark(tmp_path / "marks", (28, 28, 1), seed)
    config = fashion_mnist_mini().replace(
        {
            "network.width": 2,
            "training.batch_size": 20,
            "training.max_steps": 6,
            "annotations.folder": str(tmp_path / "marks"),
            "annotations.weight": 0.1,
        }
    )
    source = datasets.load("fashion_mnist_mini")
    ends = []
    for name, stop in (("whole", 0), ("cut", 3)):
        for callbacks in ([Interrupt(stop)], []) if stop else ([],):
            classifier = build.build(config, source.info, 6)
            (tmp_path / name).mkdir(exist_ok=True)
            if callbacks:
                with pytest.raises(KeyboardInterrupt, match="Step 3 of 6 is saved"):
                    fit(classifier, source, config, tmp_path / name, callbacks=callbacks)
            else:
                fit(classifier, source, config, tmp_path / name)
        ends.append([variable.numpy() for variable in classifier.network.variables])
    for one, other in zip(*ends, strict=True):
        np.testing.assert_array_equal(one, other)
    rows = read_metrics(tmp_path / "cut" / "metrics.csv")
    assert len(rows) == 6 and all(row["evidence"] > 0 for row in rows)
