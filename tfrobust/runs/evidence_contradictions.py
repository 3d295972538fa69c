"""Whether a report's figures follow from what it says of each image."""

import dataclasses
from pathlib import Path

import numpy as np

from tfrobust.core.ara import Ara, accuracy_robustness_area
from tfrobust.errors import InputError
from tfrobust.robustness.report import AraReport


def refuse_contradictions(report: AraReport, path: Path) -> None:
    """Refuses a report whose figures do not follow from what it says of each image.

    Args:
        report: to look at.
        path: of its file.

    Raises:
        InputError: names the figures.
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
    likeliest = found.probabilities.max(axis=1)
    rows = np.arange(report.images)
    if not np.array_equal(found.probabilities[rows, found.predicted], likeliest):
        wrong.append("predicted")
    # What is misclassified as it is needs no perturbation.
    if np.any(report.attack_rmse[~right] > 0):
        wrong.append("attack_rmse")
    # For each image the smallest size of all attacks counts.
    best = [("attack", "attack_rmse", report.attack_rmse), ("btr", "btr_rmse", report.btr_rmse)]
    for goal, name, rmse in best:
        if any(np.any(rmse > one.rmse) for one in report.attacks if one.goal == goal):
            wrong.append(name)
    if path.read_bytes() != report.json_text().encode():
        wrong.append("what it says beside its fields")
    if wrong:
        raise InputError(
            f"expected {path} to say what follows from its images, but it contradicts itself in: "
            f"{', '.join(dict.fromkeys(wrong))}. Evaluate again"
        )


def _close(one: Ara, other: Ara) -> bool:
    """Whether two areas are equal but for the order in which numbers were added up."""
    left, right = (np.array(dataclasses.astuple(area), np.float64) for area in (one, other))
    # An area that is not bounded has no numbers.
    return bool(np.allclose(left, right, rtol=1e-9, atol=1e-12, equal_nan=True))
