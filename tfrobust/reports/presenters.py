"""Which function draws which record in which form; see `tfrobust.core.presenters`."""

from collections.abc import Callable
from typing import Any

from tfrobust.reports import (
    certificates,
    comparison,
    dissection,
    explanation,
    figures,
    frames,
    labels,
    metrics,
    performance,
    report,
    report_figure,
    summary,
)

# Records are named and not imported: some come from modules that load TensorFlow, and a report
# that was read from a file can be drawn without it.
PRESENTERS: dict[tuple[str, str], Callable[..., Any]] = {
    ("AraReport", "dataframe"): frames.report_frame,
    ("AraReport", "html"): report.report_page,
    ("AraReport", "figure"): report_figure.report_figure,
    ("AraReport", "notebook"): report.report_notebook,
    ("AraReport", "summary"): summary.report_summary,
    ("Certificate", "dataframe"): frames.certificate_frame,
    ("Certificate", "notebook"): certificates.certificate_notebook,
    ("Clever", "dataframe"): frames.clever_frame,
    ("Clever", "notebook"): certificates.clever_notebook,
    ("Comparison", "dataframe"): frames.comparison_frame,
    ("Comparison", "notebook"): comparison.comparison_notebook,
    ("Dissection", "dataframe"): frames.dissection_frame,
    ("Dissection", "notebook"): dissection.dissection_notebook,
    ("Explanation", "dataframe"): frames.explanation_frame,
    ("Explanation", "html"): explanation.explanation_page,
    ("Explanation", "notebook"): explanation.explanation_notebook,
    ("Explanation", "png"): figures.explanation_png,
    ("LabelsReport", "dataframe"): frames.labels_frame,
    ("LabelsReport", "html"): labels.labels_page,
    ("LabelsReport", "notebook"): labels.labels_notebook,
    ("LabelsReport", "summary"): labels.labels_summary,
    ("LipschitzCertificate", "dataframe"): frames.lipschitz_frame,
    ("LipschitzCertificate", "notebook"): certificates.lipschitz_notebook,
    ("Overview", "png"): figures.overview_png,
    ("Performance", "dataframe"): frames.performance_frame,
    ("Performance", "notebook"): performance.performance_notebook,
    ("Table", "dataframe"): frames.metrics_frame,
    ("Table", "notebook"): metrics.metrics_notebook,
}
