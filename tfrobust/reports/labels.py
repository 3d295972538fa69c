"""The report of a network of several labels: in a few lines, in a notebook, and as a page."""

from collections.abc import Sequence

from tfrobust.reports.page import Section, Table, area_cells, render
from tfrobust.reports.plots import Curve, comparison_svg
from tfrobust.reports.summary import SMOKE
from tfrobust.robustness.labels_report import LabelsReport

TITLE = "Decisions that hold, by label"
MEANING = (
    "An image holds while the network still decides rightly whether it has the label. A guess "
    "between the two is right for half of the images."
)


def labels_summary(report: LabelsReport) -> str:
    """The figures in a few lines: those of each label, and the mean of their areas."""
    first = report.labels[0].report
    data = f" of {report.data}" if report.data else ""
    smoke = f" ({SMOKE})" if first.smoke else ""
    widest = max(len(one.label) for one in report.labels)
    lines = [f"{report.name}: {len(report.labels)} labels, {first.images} images{data}{smoke}"]
    for one in report.labels:
        lines.append(
            f"{one.label:<{widest}}  attack ARA {one.report.attack_ara}, sensitivity "
            f"{_told(one.sensitivity)} of {one.positives}, specificity {_told(one.specificity)}"
        )
    lines += [
        f"mean attack ARA {report.mean_ara}; the least robust label is {report.least_robust.label}",
        f"95 % intervals; upper bounds by {' + '.join(first.attack_names)}",
    ]
    return "\n".join(lines + [f"warning: {warning}" for warning in report.warnings])


def labels_notebook(report: LabelsReport) -> str:
    """The table of labels as HTML for a notebook."""
    return render("comparison_notebook.html", table=_table(report), warnings=report.warnings)


def labels_page(report: LabelsReport, *, more: Sequence[Section] = ()) -> str:
    """One self-contained page: a curve and a row for each label.

    Args:
        report: the report to show.
        more: further sections, after the report's own.
    """
    first = report.labels[0].report
    curves = [Curve(one.label, one.report.attack_rmse) for one in report.labels]
    return render(
        "labels.html",
        name=report.name,
        banner=SMOKE if first.smoke else None,
        warnings=report.warnings,
        curves=[(comparison_svg(TITLE, curves, 2), MEANING)],
        table=_table(report),
        mean=str(report.mean_ara),
        attack_names=first.attack_names,
        more=more,
    )


def _table(report: LabelsReport) -> Table:
    divisor = report.labels[0].report.temperature
    above = "threshold" if divisor is None else f"threshold at temperature {divisor:.3g}"
    head = ["label", above, "with it", "sensitivity", "specificity", "attack ARA", "95 %"]
    rows = [
        [
            one.label,
            f"{one.told_threshold:.3g}",
            f"{one.positives} of {len(one.holds)}",
            _told(one.sensitivity),
            _told(one.specificity),
            *area_cells(one.report.attack_ara),
        ]
        for one in report.labels
    ]
    return Table(head, [*rows, ["mean", "", "", "", "", *area_cells(report.mean_ara)]])


def _told(share: float | None) -> str:
    return "–" if share is None else f"{share:.3f}"
