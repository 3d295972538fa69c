"""What a model card says was measured, from the records of the measurements."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from tfrobust.certification.certificate import Certificate
from tfrobust.core.ara import share_interval
from tfrobust.reports.summary import L2_SIZES
from tfrobust.robustness import AraReport, LabelsReport
from tfrobust.runs.measurement import Measured


def figures_of(measured: Measured) -> dict[str, Any]:
    """Accuracy, areas, attacks and checks, and how the temperature came about."""
    report, twin = measured.report, measured.twin
    figures: dict[str, Any] = {"temperature of the probabilities": measured.temperature.told}
    if isinstance(report, LabelsReport):
        return figures | _figures_of_labels(report)
    figures |= report_figures(report)
    if twin is not None:
        figures["plain twin"] = {
            "clean accuracy": twin.clean_accuracy,
            "attack ARA": twin.attack_ara.value,
            "BTR ARA": twin.btr_ara.value,
        }
    return figures


def report_figures(report: AraReport) -> dict[str, Any]:
    """Accuracy, areas, attacks and checks, as a card has them."""
    figures: dict[str, Any] = {
        "images": report.data,
        "clean accuracy": report.clean_accuracy,
        "attack ARA": dataclasses.asdict(report.attack_ara),
        "BTR ARA": dataclasses.asdict(report.btr_ara),
        "attacks": list(report.attack_names),
        "second opinion": report.second_opinion,
        "perturbed images kept in [0, 1]": report.bounds is not None,
        "gradients for each image, at most": {
            "attack ARA, from both goals": report.attack_gradients,
            "BTR ARA": report.btr_gradients,
        },
        "checks": {
            **{name: list(found) or "passed" for name, found in report.checks.items()},
            **{name: f"not made: {reason}" for name, reason in report.unchecked.items()},
        },
    }
    if report.lipschitz is not None:
        figures["certified ARA of the network itself"] = {
            **dataclasses.asdict(report.lipschitz.ara),
            "slope": report.lipschitz.slope,
        }
    if report.smoke:
        figures["note"] = "smoke run, not a measurement"
    return figures


def _figures_of_labels(report: LabelsReport) -> dict[str, Any]:
    first = report.labels[0].report
    figures: dict[str, Any] = {"images": report.data}
    for one in report.labels:
        figures[f"label {one.label}"] = {
            "attack ARA": dataclasses.asdict(one.report.attack_ara),
            "threshold": one.told_threshold,
            "sensitivity": one.sensitivity,
            "specificity": one.specificity,
            "images with it": one.positives,
        }
    figures |= {
        "mean attack ARA": dataclasses.asdict(report.mean_ara),
        "attacks": list(first.attack_names),
        "perturbed images kept in [0, 1]": first.bounds is not None,
        "checks": list(report.warnings) or "passed",
    }
    if first.smoke:
        figures["note"] = "smoke run, not a measurement"
    return figures


def full_figures_of(
    box: AraReport | LabelsReport, certificates: Sequence[Certificate]
) -> dict[str, Any]:
    """The robust accuracy at customary sizes, and the certified area; of several labels of each.

    Args:
        box: of the run's network, with perturbed pixels kept in [0, 1].
        certificates: of the smoothed network, one, or one for each of several labels.
    """
    if isinstance(box, AraReport):
        (certificate,) = certificates
        return _full_figures(box, certificate)
    pairs = zip(box.labels, certificates, strict=True)
    return {
        f"label {one.label} in [0, 1]": _full_figures(one.report, certificate)
        for one, certificate in pairs
    }


def _full_figures(box: AraReport, certificate: Certificate) -> dict[str, Any]:
    return {
        **box_figures(box),
        "certified ARA of the smoothed network": {
            **dataclasses.asdict(certificate.ara),
            "accuracy": certificate.accuracy,
            "sigma": certificate.sigma,
            "draws": certificate.n,
            "choosing_draws": certificate.n0,
            "alpha": certificate.alpha,
        },
    }


def box_figures(box: AraReport) -> dict[str, Any]:
    """The robust accuracy at customary sizes, and the attacks that it was measured by.

    Args:
        box: with perturbed pixels kept in [0, 1].
    """
    robust = {}
    for size in L2_SIZES:
        share = box.robust_accuracy(size)
        low, high = share_interval(round(share * box.images), box.images)
        robust[f"{size:g}"] = {"value": share, "low": low, "high": high}
    return {
        "robust accuracy in [0, 1] at L2": robust,
        "attacks in [0, 1]": list(box.attack_names),
        "gradients in [0, 1], for each image at most": box.attack_gradients,
    }
