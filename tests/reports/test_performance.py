"""What a classifier is worth, on a page, in a notebook, in pandas and as a figure."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tfrobust.reports.performance import MOST_ROWS, performance_values
from tfrobust.reports.report import report_page
from tfrobust.robustness import AraReport, Performance, Predictions

Make = Callable[..., AraReport]
NAMES = ("кошка", "犬", "قطة", "cat", "e", "f", "g", "h", "i", "<b>")


def test_the_page_has_the_figures_by_class_and_group(make_report: Make, read) -> None:
    groups = tuple("AB"[number // 12] for number in range(20))
    report = make_report(class_names=NAMES)
    assert report.predictions is not None
    said = dataclasses.replace(report.predictions, groups=groups)
    report = dataclasses.replace(report, predictions=said)
    found = Performance.of(report)
    page = read(found._repr_html_())
    for words in (
        "RMSE 0.02 (5.1 of 255 grey levels)",
        f"The least robust class is {found.least_robust_class.name}",
        "The least robust group is A",
        "1 groups of fewer than ten images",
        "sensitivity at RMSE 0.02",
        *NAMES,
    ):
        assert words in page.text
    one = found.sizes[0].classes[1].sensitivity
    assert f"{one.value:.2f} ({one.low:.2f}–{one.high:.2f})" in page.text
    # Every table has heads of rows and columns, and the plot says what it is.
    assert {"row", "col"} == set(page.values("scope"))
    assert page.values("aria-label") == [
        "Reliability: the share of images that are right, against the confidence"
    ]


def test_the_page_tells_the_ece_before_and_after(make_report: Make, read) -> None:
    report = make_report(temperature=1.7)
    found = Performance.of(report)
    assert found.calibrated is not None
    told = read(found._repr_html_()).text
    assert "divided by the temperature 1.7" in told and "as it is, calibrated" in told
    assert f"the ECE is {found.calibrated.ece.value:.2f} (" in told
    assert "divided by the temperature" not in read(report_page(make_report())).text


@pytest.mark.slow
def test_axe_finds_nothing_serious(make_report: Make, chromium, tmp_path: Path) -> None:
    axe = Path(__file__).resolve().parents[2] / "node_modules" / "axe-core" / "axe.min.js"
    if not axe.exists():
        pytest.skip(f"there is no {axe}: run `make demo`")
    make_report(class_names=NAMES, temperature=1.7).to_html(tmp_path / "report.html")
    with chromium((tmp_path / "report.html").as_uri(), tmp_path) as page:
        for width in (1100, 380):
            page.tell(
                "Emulation.setDeviceMetricsOverride",
                **{"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500},
            )
            page.tell("Runtime.evaluate", expression=axe.read_text())
            found = page.run("axe.run().then(({ violations }) => violations)")
            assert [one["id"] for one in found if one["impact"] != "minor"] == []
            assert page.run("document.documentElement.scrollWidth") <= width


def test_of_many_classes_the_least_robust_are_shown(make_report: Make, read) -> None:
    labels = np.arange(200) % 100
    rng = np.random.default_rng(0)
    said = Predictions.of(
        rng.normal(0, 1, (200, 100)) + 9 * np.eye(100)[labels], labels, (labels + 1) % 100
    )
    rmse = np.where(said.predicted == labels, 0.01 + 0.001 * labels, 0)
    report = make_report(num_classes=100, predictions=said, attack_rmse=rmse)
    values = performance_values(Performance.of(report))
    shown = [row[0] for row in values["by_class"].rows]
    assert shown == [f"class {number}" for number in range(MOST_ROWS)]
    assert values["classes_left_out"] == 50
    taken = values["confusions"][2]
    assert taken.shades == [] and taken.table.rows[0] == ["class 0", "class 1", "2"]
    assert "50 more robust classes" in read(Performance.of(report)._repr_html_()).text


def test_a_row_for_each_size_and_class(make_report: Make) -> None:
    pytest.importorskip("pandas")
    found = Performance.of(make_report(class_names=NAMES))
    frame = found.to_dataframe()
    assert frame.index.names == ["rmse", "class"] and len(frame) == 4 * 10
    estimate = found.sizes[2].classes[0].sensitivity
    row = frame.loc[(0.01, "кошка")]
    assert (row["sensitivity"], row["sensitivity_high"]) == (estimate.value, estimate.high)


def test_the_figure_names_classes_in_any_script(make_report: Make, tmp_path) -> None:
    figure = make_report(class_names=(*NAMES[:-1], "ж"), unfound=0).plot()
    curves, _, classes = figure.axes
    shown = [label.get_text() for label in classes.get_yticklabels()]
    assert {"кошка", "cat", "ж"} <= set(shown) and len(shown) == 10
    assert "smallest per image" in [text.get_text() for text in curves.get_legend().get_texts()]
    figure.savefig(tmp_path / "report.png")
    assert len(make_report(predictions=None).plot().axes) == 2
