"""Whether a report's figures follow from what it says of each image."""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tfrobust.core.ara import Ara, accuracy_robustness_area, mean_area
from tfrobust.core.temperature import at_temperature, checked_temperature
from tfrobust.errors import InputError
from tfrobust.robustness import LabelReport, LabelsReport
from tfrobust.robustness.predictions import DIGITS
from tfrobust.robustness.report import AraReport

Report = AraReport | LabelsReport


def read_report(path: Path) -> Report:
    """Reads an ara.json, of classes or of several labels.

    Args:
        path: of the file.

    Raises:
        InputError: it is none, or does not say what the network answered to each image.
    """
    try:
        several = "mean_ara" in json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, TypeError, RecursionError):
        several = False  # the record says what is wrong with it
    report: Report = LabelsReport.from_json(path) if several else AraReport.from_json(path)
    if any(one.predictions is None for one in reports_of(report)):
        raise InputError(
            f"expected {path} to say what the network answered to each image, which older versions "
            "did not write: evaluate again"
        )
    return report


def reports_of(report: Report) -> list[AraReport]:
    """The report of classes itself, or those of the labels."""
    return [report] if isinstance(report, AraReport) else [one.report for one in report.labels]


def refuse_another_model(
    report: Report, card: Mapping[str, Any], sources: Mapping[str, Path]
) -> None:
    """Refuses a report of other classes, thresholds or another temperature than a model card tells.

    Args:
        report: of an evaluation.
        card: of the model; empty without one.
        sources: where the report and the model are, by these names.

    Raises:
        InputError: says what differs.
    """
    temperature = checked_temperature(card.get("temperature"))
    different = []
    if isinstance(report, AraReport):
        classes = report.class_names
    else:
        classes = tuple(one.label for one in report.labels)
    if classes and list(classes) != card.get("classes"):
        different.append("classes")
    if card.get("temperature") is not None and any(
        one.temperature not in (None, temperature) for one in reports_of(report)
    ):
        different.append("temperatures")
    if isinstance(report, LabelsReport) and card.get("thresholds") is not None:
        shown = at_temperature(tuple(one.threshold for one in report.labels), temperature)
        told = card["thresholds"]
        if len(told) != len(shown) or not np.allclose(told, shown, rtol=0, atol=1e-6):
            different.append("thresholds")
    if different:
        raise InputError(
            f"expected {sources['report']} to be of the model at {sources['model']}, but their "
            f"{' and '.join(different)} differ"
        )


def refuse_contradictions(report: Report, path: Path) -> None:
    """Refuses a report whose figures do not follow from what it says of each image.

    Args:
        report: to look at.
        path: of its file.

    Raises:
        InputError: names the figures.
    """
    wrong: list[str] = []
    if isinstance(report, AraReport):
        wrong += _contradictions(report, path)
    else:
        for one in report.labels:
            wrong += [f"{name} of {one.label}" for name in _of_label(one, path)]
        groups = report.labels[0].report.groups
        sizes = [one.report.attack_rmse for one in report.labels]
        if len({len(some) for some in sizes}) > 1 or not _close(
            report.mean_ara, mean_area(np.stack(sizes), 2, groups=groups, seed=report.seed)
        ):
            wrong.append("mean_ara")
        if len({one.predictions.files for one in reports_of(report) if one.predictions}) > 1:
            wrong.append("files")
    if path.read_bytes() != report.json_text().encode():
        wrong.append("what it says beside its fields")
    if wrong:
        raise InputError(
            f"expected {path} to say what follows from its images, but it contradicts itself in: "
            f"{', '.join(dict.fromkeys(wrong))}. Evaluate again"
        )


def _of_label(one: LabelReport, path: Path) -> list[str]:
    """What contradicts itself in the report of one label."""
    found = one.report.predictions
    assert found is not None
    wrong = _contradictions(one.report, path, threshold=one.threshold)
    for name, mine, theirs in (
        ("holds", one.holds, found.labels),
        ("predicted", one.predicted, found.predicted),
    ):
        if not np.array_equal(mine, theirs):
            wrong.append(name)
    return wrong


def _contradictions(report: AraReport, path: Path, threshold: float | None = None) -> list[str]:
    """The figures that do not follow.

    Args:
        report: to look at.
        path: of its file.
        threshold: of the label that the report is about; None for classes.

    Raises:
        InputError: it does not say of each image how far it is.
    """
    found, classes, seed = report.predictions, report.num_classes, report.seed
    assert found is not None
    sizes = [report.btr_rmse, *(one.rmse for one in report.attacks)]
    if report.attack_linf is not None:
        sizes.append(report.attack_linf)
    if any(len(one) != report.images for one in sizes):
        raise InputError(f"expected {path} to say of each image how far it is, but it does not")
    right = found.predicted == found.labels
    areas = [("attack_ara", report.attack_ara, report.attack_rmse)]
    areas += [("btr_ara", report.btr_ara, report.btr_rmse)]
    areas += [(f"ara of {one.name} ({one.goal})", one.ara, one.rmse) for one in report.attacks]
    wrong = [
        name
        for name, area, rmse in areas
        if not _close(area, accuracy_robustness_area(rmse, classes, groups=found.groups, seed=seed))
    ]
    if not np.isclose(report.clean_accuracy, np.mean(right), rtol=1e-9, atol=1e-12):
        wrong.append("clean_accuracy")
    if threshold is None:
        likeliest = found.probabilities.max(axis=1)
        given = found.probabilities[np.arange(report.images), found.predicted]
        follows = np.array_equal(given, likeliest)
    else:
        # Written probabilities are rounded, so that a very near one may lie on either side.
        above = np.where(found.predicted == 1, 1, -1) * (found.probabilities[:, 1] - threshold)
        follows = bool(np.all(above > -(10.0**-DIGITS)))
    if not follows:
        wrong.append("predicted")
    # What is misclassified as it is needs no perturbation.
    if np.any(report.attack_rmse[~right] > 0):
        wrong.append("attack_rmse")
    # For each image the smallest size of all attacks counts.
    best = [("attack", "attack_rmse", report.attack_rmse), ("btr", "btr_rmse", report.btr_rmse)]
    for goal, name, rmse in best:
        if any(np.any(rmse > one.rmse) for one in report.attacks if one.goal == goal):
            wrong.append(name)
    return wrong


def _close(one: Ara, other: Ara) -> bool:
    """Whether two areas are equal but for the order in which numbers were added up."""
    left, right = (np.array(dataclasses.astuple(area), np.float64) for area in (one, other))
    # An area that is not bounded has no numbers.
    return bool(np.allclose(left, right, rtol=1e-9, atol=1e-12, equal_nan=True))
