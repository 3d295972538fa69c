"""A dissection in a notebook."""

from typing import TYPE_CHECKING

from tfrobust.reports.page import Table, render

if TYPE_CHECKING:
    from tfrobust import explanations

NOTE = (
    "A unit detects a concept if their places overlap by more than 0.04 (intersection over union), "
    "and by more than with the concept's places in other images."
)


def dissection_notebook(found: "explanations.Dissection") -> str:
    """For each concept its detectors and the best of them, as HTML for a notebook."""
    rows = []
    for concept, units in found.detectors().items():
        best = units[0] if units else None
        told = (
            [f"{best.layer}, unit {best.unit}", f"{best.iou:.2f}", f"{best.by_chance:.2f}"]
            if best
            else ["–"] * 3
        )
        rows.append([concept, str(len(units)), *told])
    shown = Table(["concept", "units that detect it", "best unit", "overlap", "by chance"], rows)
    return render("table_notebook.html", table=shown, note=NOTE)
