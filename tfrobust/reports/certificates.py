"""Certificates, and CLEVER's estimate, in tables."""

from tfrobust.certification.certificate import Certificate
from tfrobust.certification.estimate import Clever
from tfrobust.certification.lipschitz_certificate import LipschitzCertificate
from tfrobust.reports.page import Table, area_cells, render
from tfrobust.reports.plots import Curve
from tfrobust.robustness.report import AraReport


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


def lipschitz_table(certificate: LipschitzCertificate) -> Table:
    """The figures of a certificate of the network itself."""
    rows = [
        ["certified ARA, a lower bound", *area_cells(certificate.ara)],
        ["clean accuracy", f"{certificate.accuracy:.3f}", ""],
        ["largest slope of a margin, for an L2 of 1", f"{certificate.slope:.4f}", ""],
        ["taken off the mean radius for rounding, L2", f"{certificate.rounding:.1e}", ""],
    ]
    return Table(["the network itself", "figure", "95 % interval"], rows)


def certified_curve(report: AraReport, goal: str) -> Curve | None:
    """The sizes that are certified, for the goal that they are about: misclassification."""
    if report.lipschitz is None or goal != "attack":
        return None
    return Curve("certified: no attack comes below", report.lipschitz.rmse)


def lipschitz_notebook(certificate: LipschitzCertificate) -> str:
    """A certificate of the network itself, as HTML for a notebook."""
    return render(
        "lipschitz.html", lipschitz=certificate, lipschitz_table=lipschitz_table(certificate)
    )


def clever_notebook(clever: Clever) -> str:
    """CLEVER's estimate as HTML for a notebook."""
    return render("clever.html", clever=clever)
