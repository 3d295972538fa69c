"""A report's page."""

from collections.abc import Sequence

from tfrobust.reports.page import Section, render
from tfrobust.reports.sections import report_sections
from tfrobust.reports.summary import SMOKE
from tfrobust.robustness.report import AraReport


def report_page(
    report: AraReport, *, twin: AraReport | None = None, more: Sequence[Section] = ()
) -> str:
    """One self-contained page on a report.

    Args:
        report: what to show.
        twin: a report of the network's plain twin, drawn dashed beside it.
        more: further sections, after the report's own.

    Returns:
        The page's HTML.

    Raises:
        InputError: the two reports cannot be compared.
    """
    return render(
        f"Robustness of {report.name}",
        [*report_sections(report, twin), *more],
        banner=SMOKE if report.smoke else None,
    )
