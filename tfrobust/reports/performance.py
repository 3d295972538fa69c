"""What a classifier is worth, by class and by group: sections of a page, and for a notebook."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from tfrobust.core.bootstrap import Estimate
from tfrobust.reports.page import Table, area_cells, render
from tfrobust.reports.plots import reliability_svg
from tfrobust.robustness.performance import AtSize, PartRobustness, Performance

MOST_ROWS = 50  # of a table of classes or groups, which then has the least robust ones
MOST_CLASSES = 20  # that a confusion matrix shows; of more, the pairs that are confused most
GREY_LEVELS = 255


class Confusion(NamedTuple):
    """Which classes are taken for which.

    Args:
        size: of the attack, in words.
        table: a matrix, or a list of pairs.
        shades: for each cell of a matrix its share of the row, from 0 to 1; empty for a list.
    """

    size: str
    table: Table
    shades: list[list[float]]


def performance_values(found: Performance) -> dict[str, Any]:
    """What the template performance.html names."""
    # Classes without images have no row.
    present = [number for number, one in enumerate(found.sizes[0].classes) if one.images]
    shown = _least_robust(found.by_class)
    numbers = [present[row] for row in shown]
    groups = [found.by_group[row] for row in _least_robust(found.by_group)]
    return {
        "performance": found,
        "classes_left_out": len(present) - len(shown),
        "groups_left_out": len(found.by_group) - len(groups),
        "under_attack": _under_attack(found.sizes),
        "by_class": _by_class(found.sizes, numbers, [found.by_class[row] for row in shown]),
        "by_group": _by_group(groups),
        "details": [(size_in_words(at.rmse), _figures(at, numbers)) for at in found.sizes[1:]],
        "confusions": [_confusion(at) for at in found.sizes],
        "reliability": reliability_svg(
            [(size_in_words(at.rmse), at.calibration) for at in found.sizes]
            + ([] if found.calibrated is None else [("as it is, calibrated", found.calibrated)])
        ),
        "ece": [_told(one.ece) for one in (found.sizes[0].calibration, found.calibrated) if one],
    }


def performance_notebook(found: Performance) -> str:
    """The tables and the reliability curve, as HTML for a notebook."""
    return render("performance.html", **performance_values(found))


def size_in_words(rmse: float) -> str:
    """A size as people can picture it: "as it is", or "RMSE 0.01 (2.5 of 255 grey levels)"."""
    if not rmse:
        return "as it is"
    return f"RMSE {rmse:g} ({rmse * GREY_LEVELS:.2g} of {GREY_LEVELS} grey levels)"


def _least_robust(parts: Sequence[PartRobustness]) -> list[int]:
    """The numbers of at most 50 parts, the least robust ones, in their order."""
    areas = [np.inf if part.ara.value is None else part.ara.value for part in parts]
    return sorted(np.argsort(areas, kind="stable")[:MOST_ROWS].tolist())


def _under_attack(sizes: Sequence[AtSize]) -> Table:
    head = ["every image perturbed by", "accuracy", "calibration error (ECE)"]
    rows = [[size_in_words(at.rmse), _told(at.accuracy), _told(at.calibration.ece)] for at in sizes]
    return Table(head, rows)


def _by_class(
    sizes: Sequence[AtSize], numbers: Sequence[int], parts: Sequence[PartRobustness]
) -> Table:
    """Each class: its area, its sensitivity under attack, and its figures as it is."""
    figures = _figures(sizes[0], numbers)
    under = [f"sensitivity at RMSE {at.rmse:g}" for at in sizes[1:]]
    head = [*figures.head[:2], "attack ARA", figures.head[2], *under, *figures.head[3:]]
    rows = [
        [
            *row[:2],
            _area(part),
            row[2],
            *(_told(at.classes[number].sensitivity) for at in sizes[1:]),
            *row[3:],
        ]
        for row, number, part in zip(figures.rows, numbers, parts, strict=True)
    ]
    return Table(head, rows)


def _figures(at: AtSize, numbers: Sequence[int]) -> Table:
    head = ["class", "images", "sensitivity", "specificity", "AUC", "average precision"]
    rows = []
    for one in (at.classes[number] for number in numbers):
        figures = (one.sensitivity, one.specificity, one.auc, one.average_precision)
        rows.append([one.name, str(one.images), *map(_told, figures)])
    return Table(head, rows)


def _by_group(parts: Sequence[PartRobustness]) -> Table:
    head = ["group", "images", "accuracy", "attack ARA"]
    rows = [[part.name, str(part.ara.images), _told(part.accuracy), _area(part)] for part in parts]
    return Table(head, rows)


def _confusion(at: AtSize) -> Confusion:
    names = [one.name for one in at.classes]
    size = size_in_words(at.rmse)
    if len(names) > MOST_CLASSES:
        wrong = at.confusion * (1 - np.eye(len(names)))
        order = np.argsort(-wrong, axis=None, kind="stable")[:MOST_CLASSES]
        pairs = [divmod(int(one), len(names)) for one in order if wrong.flat[one]]
        rows = [[names[row], names[column], f"{wrong[row, column]:.0f}"] for row, column in pairs]
        return Confusion(size, Table(["true class", "taken for", "images"], rows), [])
    counts = np.column_stack([at.confusion, at.unknown]) if at.unknown.any() else at.confusion
    head = ["true class", *names, *(["not known"] if at.unknown.any() else [])]
    rows = [
        [name, *(f"{count:.0f}" for count in row)] for name, row in zip(names, counts, strict=True)
    ]
    shades = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    return Confusion(size, Table(head, rows), shades.tolist())


def _area(part: PartRobustness) -> str:
    value, interval = area_cells(part.ara)
    return f"{value} ({interval})"


def _told(estimate: Estimate) -> str:
    if estimate.value is None:
        return "–"
    return f"{estimate.value:.2f} ({estimate.low:.2f}–{estimate.high:.2f})"
