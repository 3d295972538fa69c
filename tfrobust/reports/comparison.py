"""Several networks' reports on one page, and the ratio of two."""

from collections.abc import Sequence
from pathlib import Path

from tfrobust.core.files import write_atomically
from tfrobust.errors import InputError
from tfrobust.reports.page import Table, area_cells, render
from tfrobust.reports.plots import Curve, comparison_svg
from tfrobust.reports.report import GOALS, MEANING, sizes_of, sizes_told
from tfrobust.robustness.comparison import Comparison, compare
from tfrobust.robustness.report import AraReport


def comparison_html(reports: Sequence[AraReport], path: str | Path) -> None:
    """Writes one self-contained page that shows several networks in one figure.

    Args:
        reports: at least two, of equal numbers of classes and equal bounds. The page also gives
            every area as a multiple of the first report's.
        path: the file; its folder is made if it does not exist.

    Raises:
        InputError: the reports cannot be compared, or the file cannot be written.
    """
    if len(reports) < 2:
        raise InputError(f"expected at least two reports to compare, got {len(reports)}")
    first = reports[0]
    ratios = [compare(report, first) for report in reports[1:]]
    warnings = [
        f"{report.name}: {note}"
        for report, ratio in zip(reports[1:], ratios, strict=True)
        for note in ratio.notes
    ]
    warnings += [f"{report.name}: {warning}" for report in reports for warning in report.warnings]
    smoke = any(report.smoke for report in reports)
    page = render(
        "comparison.html",
        names=", ".join(report.name for report in reports),
        banner="a smoke run is among these: no measurement" if smoke else None,
        warnings=warnings,
        curves=[
            (
                comparison_svg(
                    title,
                    [Curve(report.name, sizes_of(report, goal)) for report in reports],
                    first.num_classes,
                ),
                MEANING[goal],
            )
            for goal, title in GOALS.items()
        ],
        areas=_areas(reports, ratios),
        attack_names=first.attack_names,
        robust_accuracy=_robust_accuracy(reports),
    )
    write_atomically(path, page.encode())


def comparison_notebook(comparison: Comparison) -> str:
    """The ratios of two reports as HTML for a notebook."""
    rows = [
        [name, str(ratio), "paired" if ratio.paired else "independent"]
        for name, ratio in (("attack ARA", comparison.attack), ("BTR ARA", comparison.btr))
    ]
    table = Table(["", "times, with 95 % interval", "bootstrap over images"], rows)
    return render("comparison_notebook.html", table=table, warnings=comparison.notes)


def _areas(reports: Sequence[AraReport], ratios: Sequence[Comparison]) -> Table:
    head = ["network", "images", "clean", "attack ARA", "95 %", "× first", "BTR ARA", "95 %"]
    times = ["", *(str(ratio.attack) for ratio in ratios)]
    rows = [
        [
            report.name,
            str(report.images),
            f"{report.clean_accuracy:.3f}",
            *area_cells(report.attack_ara),
            ratio,
            *area_cells(report.btr_ara),
        ]
        for report, ratio in zip(reports, times, strict=True)
    ]
    return Table(head, rows)


def _robust_accuracy(reports: Sequence[AraReport]) -> Table:
    told = sizes_told(reports)
    head = ["network", *(words for words, _, _ in told)]
    rows = [
        [report.name, *(f"{report.robust_accuracy(size, norm):.3f}" for _, size, norm in told)]
        for report in reports
    ]
    return Table(head, rows)
