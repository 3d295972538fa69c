"""The benchmark of the local server: what it is told, and two versions in turns."""

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--model", "/nowhere"], "expected --model to be a folder of versions, got /nowhere"),
        (["--before", "/nowhere"], "expected --before to be a checkout with a server"),
    ],
)
def test_bad_arguments_are_refused(
    arguments: list[str], said: str, program: Callable, tmp_path: Path
) -> None:
    done = program("serving", "--model", tmp_path, *arguments)
    assert done.returncode != 0 and said in done.stderr and "Traceback" not in done.stderr


def test_ratios_are_of_rounds(benchmark: Callable[[str], ModuleType]) -> None:
    versions = benchmark("serving_versions")

    def rounds(*p50s: float) -> list[dict[str, float]]:
        names = ("requests", "failed", "rate", "p50_ms", "p99_ms")
        return [dict(zip(names, (10, 1, 1e3 / p50, p50, 9.0), strict=True)) for p50 in p50s]

    told = {"before": rounds(4.0, 8.0, 2.0), "after": rounds(2.0, 2.0, 2.0)}
    p50 = versions.ratio(told, "p50_ms")
    assert p50 == {"median": 0.5, "low": 0.25, "high": 1.0}
    rows = {name: versions._median(one) for name, one in told.items()}
    assert rows["before"] == {
        "requests": 30,
        "failed": 3,
        "rate": 250,
        "p50_ms": 4.0,
        "p99_ms": 9.0,
    }
    row = {**rows, "p50": p50, "rate": versions.ratio(told, "rate")}
    last = versions.table({"rows": {"predict": row}}).splitlines()[-1]
    assert last == "| predict | 2.0 / 4.0 | 0.50 [0.25, 1.00] | 500.0 / 250.0 | 2.00 [1.00, 4.00] |"


@pytest.mark.slow
def test_two_checkouts_serve_one_model(
    benchmark: Callable[[str], ModuleType], root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    versions = benchmark("serving_versions")
    monkeypatch.setattr(versions, "PARTS", [("serving_default", 2)])
    model = root / "saved_models" / "fashion_mnist_mini"
    found = versions.compare(root, model, np.zeros((1, 28, 28, 1), np.float32), 0.5)
    row = found["rows"]["serving_default, 2 clients"]
    assert row["before"]["failed"] == row["after"]["failed"] == 0
    assert 0.2 < row["p50"]["median"] < 5  # it is the same code
    assert found["commits"]["before"] == found["commits"]["after"]
    assert min(found["peak_mib"].values()) > 100
    with (
        pytest.raises(RuntimeError, match="expected a server of"),
        versions._hosted(Path("/tmp"), model.parent),
    ):
        pass
