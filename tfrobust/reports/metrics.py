"""A table of measures in a notebook."""

from typing import TYPE_CHECKING

from tfrobust.reports.page import Table, render

if TYPE_CHECKING:
    from tfrobust import metrics


def metrics_notebook(table: "metrics.Table") -> str:
    """The table as HTML for a notebook."""
    rows = [
        [method, *(str(mean or "–") for mean in means)] for method, means in table.means().items()
    ]
    shown = Table(["method", *table.columns], rows)
    return render("table_notebook.html", table=shown, note=table.note)
