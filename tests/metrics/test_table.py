"""The table of measures: its intervals, and how it prints."""

import numpy as np
import pytest

from tfrobust.metrics import Table
from tfrobust.metrics.table import interval


def test_the_interval_is_the_percentile_bootstraps() -> None:
    values = np.random.default_rng(1).normal(2, 1, 400)
    low, high = interval(values)
    # Of a mean of 400 normal values: 1.96/20 to either side, and the bootstrap's own noise.
    assert low == pytest.approx(values.mean() - 0.098, abs=0.02)
    assert high == pytest.approx(values.mean() + 0.098, abs=0.02)
    assert interval(np.ones(5)) == (1.0, 1.0)


def test_a_table_prints_as_markdown() -> None:
    table = Table(("a", "b"), {"one": (np.array([0.25, 0.25]), None)}, "A note.")
    assert str(table).splitlines() == [
        "| method | a | b |",
        "| --- | --- | --- |",
        "| one | 0.25 [0.25, 0.25] | – |",
        "",
        "A note.",
    ]
