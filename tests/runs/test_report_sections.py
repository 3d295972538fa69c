"""What a run's report shows beside the measurement."""

from pathlib import Path

from tfrobust import datasets
from tfrobust.runs.folder import Run
from tfrobust.runs.metrics_log import COLUMNS
from tfrobust.runs.recipes import fashion_mnist_mini
from tfrobust.runs.rehearsal import few_steps
from tfrobust.runs.report_sections import training_section


def test_the_training_s_section_says_what_a_reader_must_know(tmp_path: Path) -> None:
    rows = [",".join(COLUMNS), "1,0,2.3,2.2,0.1,,,,0.1,", "2,0,2.2,2.1,0.2,,,,0.1,0.15"]
    (tmp_path / "metrics.csv").write_text("\n".join(rows) + "\n")
    config, source = fashion_mnist_mini(), datasets.load("fashion_mnist_mini")
    section = training_section(Run(config, source, tmp_path), [few_steps(config, 2)])
    assert section.caption.startswith("2 steps; each point is one batch")
    assert "once an epoch. The training has 2 steps. In fewer than 200" in section.caption
    assert "smaller batches. The images: " in section.caption
