"""Plots as SVG."""

import math
import warnings

import numpy as np

from tfrobust.reports.plots import (
    Accuracy,
    Curve,
    accuracy_svg,
    comparison_svg,
    training_curves_svg,
)


def test_text_in_a_plot_is_escaped(read) -> None:
    bad = '<script>alert("x")</script> & \'"'
    page = read(
        accuracy_svg(bad, Accuracy(Curve(bad, np.ones(3)), [Curve(bad, np.ones(3))] * 2, 10))
    )
    assert "script" not in page.tags
    # The title, and the legend's three curves.
    assert page.parts.count(bad) == 4 and page.values("aria-label") == [bad]


def test_names_of_any_kind_stand_in_the_legend(read) -> None:
    names = ["腫瘤", "كسر", "_hidden", "$\\alpha$ of 3 $"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        svg = comparison_svg("labels", [Curve(name, np.ones(3)) for name in names], 2)
    assert set(names) <= set(read(svg).parts)


def test_training_curves(read) -> None:
    rows = [
        {
            "epoch": step // 100,
            "step": step,
            "loss": 3.0 - step / 1000,
            "cross_entropy": 2.0 - step / 1000,
            "accuracy": step / 2000,
            "psi": 220.0 + step,
            "learning_rate": 0.1,
            "val_accuracy": step / 2000 if step % 100 == 0 else math.nan,
        }
        for step in range(0, 2000)
    ]
    svg = training_curves_svg(rows)
    assert {"loss, penalty included", "held-out images", "learning rate"} <= set(read(svg).parts)
    # Curves are thinned to what a screen shows, 600 points: all would be several times as large.
    assert len(svg) < 120_000
    few = [{name: row[name] for name in ("step", "loss", "accuracy")} for row in rows[:1]]
    assert "held-out images" not in read(training_curves_svg(few)).parts
    assert "step" in read(training_curves_svg([])).parts
