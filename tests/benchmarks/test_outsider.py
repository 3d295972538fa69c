"""Networks as an outsider measures them: RobustBench's entries; corruptions where they install."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PYTHON = os.environ.get("ATTACKBENCH_PYTHON", str(ROOT / ".venv-attackbench" / "bin" / "python"))
CORRUPTED = """
import sys, numpy as np
sys.path.insert(0, "benchmarks")
import cifar10_c
images = np.random.default_rng(0).random((2, 32, 32, 3), np.float32)
for name, (_, told) in cifar10_c.CORRUPTIONS.items():
    assert len(told) == 5, name
    once, again = (cifar10_c.corrupted(images, name, 5) for _ in range(2))
    assert once.shape == images.shape and once.dtype == np.float32, name
    assert (once == again).all() and 0 <= once.min() and once.max() <= 1, name
    assert np.abs(once - images).max() > 0.02, name
    alone = cifar10_c.corrupted(images[:1], name, 5)
    assert (alone == once[:1]).all(), name
contrast = cifar10_c.corrupted(images, "contrast", 4)
means = images.mean(axis=(1, 2), keepdims=True)
# Published images are rounded down.
assert np.abs(contrast - (means + 0.3 * (images - means))).max() < 1.01 / 255
"""


def test_entries_have_robustbenchs_form(benchmark: Callable) -> None:
    outsider = benchmark("outsider")
    norms = {
        norm: {"clean_accuracy": 0.7, "accuracy": accuracy}
        for norm, accuracy in (("L2", 0.5), ("Linf", 0.2))
    }
    attacked = {"images": 8, "standard": True, **norms}
    corrupted = {"images": 9, "clean_accuracy": 0.71, "accuracy": 0.6}
    row = {"autoattack": attacked, "corruptions": corrupted}
    found = outsider.model_info("published_all", row)
    assert list(found) == ["L2", "Linf", "corruptions"]
    assert found["L2"]["clean_acc"] == "70.00" and found["L2"]["autoattack_acc"] == "50.00"
    assert found["Linf"]["eps"] == "8/255" and found["Linf"]["autoattack_acc"] == "20.00"
    assert found["corruptions"]["corruptions_acc"] == "60.00"
    assert "first 9 test images" in found["corruptions"]["footnote"]
    # What is no whole AutoAttack is no entry.
    part = {**attacked, "standard": False}
    assert outsider.model_info("cifar10", {"autoattack": part}) == {}
    assert "| published_all |  | 0.500 | 0.200 | 0.600 |  |" in outsider.table(
        {"published_all": row}
    )


@pytest.mark.slow
def test_corruptions_repeat_and_stay_in_the_box() -> None:
    done = subprocess.run(
        [PYTHON, "-c", "import imagecorruptions"], capture_output=True
    ) if Path(PYTHON).is_file() else None  # fmt: skip
    if done is None or done.returncode:
        pytest.skip("needs imagecorruptions-imaug: `make bench-outsider`")
    run = subprocess.run([PYTHON, "-c", CORRUPTED], cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr[-2000:]
