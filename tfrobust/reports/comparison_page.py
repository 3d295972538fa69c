"""Several networks' reports on one page."""

from collections.abc import Sequence
from html import escape
from pathlib import Path

from tfrobust.core.files import write_atomically
from tfrobust.errors import InputError
from tfrobust.reports.page import figure, render, table
from tfrobust.reports.plots import Curve, comparison_svg
from tfrobust.reports.sections import GOALS, MEANING, SIZES, area_cells, sizes_of
from tfrobust.robustness.comparison import compare
from tfrobust.robustness.report import AraReport


def comparison_html(reports: Sequence[AraReport], path: str | Path) -> None:
    """Writes one self-contained page that shows several networks in one figure.

    Args:
        reports: two or more, of as many classes, all within the same bounds; areas are
            also given as multiples of the first's.
        path: where to.

    Raises:
        InputError: reports that cannot be compared, or the file cannot be written.
    """
    if len(reports) < 2:
        raise InputError(f"expected at least two reports to compare, got {len(reports)}")
    first = reports[0]
    ratios = [compare(report, first) for report in reports[1:]]
    plots = "".join(
        figure(
            comparison_svg(
                title,
                [Curve(report.name, sizes_of(report, goal)) for report in reports],
                first.num_classes,
            ),
            MEANING[goal],
        )
        for goal, title in GOALS.items()
    )
    head = ["network", "images", "clean", "attack ARA", "95 %", "× first", "BTR ARA", "95 %"]
    times = ["", *(str(ratio.attack) for ratio in ratios)]
    areas = [
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
    shares = [
        [report.name, *(f"{report.robust_accuracy(size, norm):.3f}" for _, size, norm in SIZES)]
        for report in reports
    ]
    notes = [
        f"{report.name}: {note}"
        for report, ratio in zip(reports[1:], ratios, strict=True)
        for note in ratio.notes
    ]
    notes += [f"{report.name}: {warning}" for report in reports for warning in report.warnings]
    sections = [
        ("Accuracy against perturbation size", f'<div class="plots">{plots}</div>'),
        (
            "Areas",
            f"{table(head, areas)}\n<p>Per image the smallest perturbation that any attack found "
            "counts; an ARA is an <em>upper bound</em> by its attacks: "
            f"{escape(' + '.join(first.attack_names))}.</p>",
        ),
        (
            "Robust accuracy",
            table(["network", *(words for words, _, _ in SIZES)], shares),
        ),
    ]
    if notes:
        items = "\n".join(f"<li>{escape(note)}</li>" for note in notes)
        sections.insert(0, ("Before you trust this", f'<ul class="warnings">\n{items}\n</ul>'))
    names = ", ".join(report.name for report in reports)
    smoke = any(report.smoke for report in reports)
    banner = "a smoke run is among these: no measurement" if smoke else None
    page = render(f"Robustness of {names}", sections, banner=banner)
    write_atomically(path, page.encode())
