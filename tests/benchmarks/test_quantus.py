"""Our measures and those of Quantus, where an environment has them."""

import json
import os
from pathlib import Path

import pytest

PYTHON = os.environ.get("QUANTUS_PYTHON", "/tmp/quantus/bin/python")
RESULTS = Path(__file__).resolve().parents[2] / "benchmarks" / "results" / "quantus.json"


@pytest.mark.slow
def test_values_agree(benchmark) -> None:
    if not Path(PYTHON).exists():
        pytest.skip(
            f"needs an environment with Quantus, and there is no {PYTHON}: `python -m venv "
            "/tmp/quantus`, `/tmp/quantus/bin/pip install quantus==0.6.0 torch==2.13.0`, or name "
            "another by QUANTUS_PYTHON"
        )
    found = benchmark("quantus_compare").compared(PYTHON)["measures"]
    kept = json.loads(RESULTS.read_text())["measures"]
    assert set(found) == set(kept) and len(found) >= 19
    apart = {name: row["difference"] for name, row in found.items()}
    # It divides by the change of float32 logits, which is nearly nothing for one neighbour.
    assert apart.pop("RelativeOutputStability") < 2e-3
    # Twice the mark, as other processors round float32 otherwise.
    assert {name for name, one in apart.items() if one > 2e-6} == set(), apart
