"""A certificate, and CLEVER's estimate, in tables."""

from tfrobust.certification.certificate import Certificate
from tfrobust.certification.estimate import Clever
from tfrobust.reports.page import Table, area_cells, render


def certificate_table(certificate: Certificate) -> Table:
    """A certificate's figures."""
    rows = [
        ["certified ARA, a lower bound", *area_cells(certificate.ara)],
        ["accuracy of the smoothed network", f"{certificate.accuracy:.3f}", ""],
        ["abstained", f"{certificate.abstained} of {len(certificate.rmse)}", ""],
    ]
    return Table(["smoothed network", "figure", "95 % interval"], rows)


def certificate_notebook(certificate: Certificate) -> str:
    """A certificate as HTML for a notebook."""
    return render(
        "certificate.html",
        certificate=certificate,
        certificate_table=certificate_table(certificate),
    )


def clever_notebook(clever: Clever) -> str:
    """CLEVER's estimate as HTML for a notebook."""
    return render("clever.html", clever=clever)
