"""The table of ground truth in the documentation is that of the results, and nothing is lost."""

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]


def test_the_documentation_has_the_tables_of_the_results(
    benchmark: Callable[[str], ModuleType], capsys: pytest.CaptureFixture[str]
) -> None:
    benchmark("ground_truth_tables").main()
    printed = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| ")]
    page = (ROOT / "docs" / "figures" / "explanations.md").read_text().splitlines()
    assert len(printed) > 10 and [line for line in printed if line not in page] == []


def test_results_that_there_are_need_no_measurement(
    benchmark: Callable[[str], ModuleType], tmp_path: Path
) -> None:
    kept = benchmark("ground_truth").Kept(tmp_path / "measured")
    kept.make("robust, Grad-CAM, found", lambda: {"pointing": 1})
    kept.make("robust, Grad-CAM, found", lambda: pytest.fail("measured again"))
    assert kept.get("robust, Grad-CAM, found")["pointing"] == 1
    assert kept.get("plain, Grad-CAM, found") is None


def test_networks_read_nothing_but_the_lesion_or_nothing_but_the_label() -> None:
    told = json.loads((ROOT / "benchmarks" / "results" / "ground_truth.json").read_text())
    for name, facts in told["networks"].items():
        if "marked" in name:
            assert facts["label_right"] > 0.95 and facts["label_wrong"] < 0.05
        else:
            assert facts["accuracy"] > 0.8
        # Three classes: without a lesion, a network that reads lesions guesses.
        assert abs(facts["without_lesions"] - 1 / 3) < 0.1
