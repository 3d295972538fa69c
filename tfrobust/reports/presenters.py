"""Which function draws which record in which form; see `tfrobust.core.presenters`."""

from collections.abc import Callable
from typing import Any

from tfrobust.reports import frames
from tfrobust.reports.report_page import report_page
from tfrobust.reports.summary import summary

# Records are named and not imported: some come from modules that load TensorFlow, and a report
# that was read from a file can be drawn without it.
PRESENTERS: dict[tuple[str, str], Callable[..., Any]] = {
    ("AraReport", "html"): report_page,
    ("AraReport", "summary"): summary,
    ("AraReport", "dataframe"): frames.report_frame,
    ("Certificate", "dataframe"): frames.certificate_frame,
    ("Clever", "dataframe"): frames.clever_frame,
    ("Comparison", "dataframe"): frames.comparison_frame,
}
