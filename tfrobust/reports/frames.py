"""Records as pandas data frames."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tfrobust.certification.certificate import Certificate
from tfrobust.certification.estimate import Clever
from tfrobust.certification.lipschitz_certificate import LipschitzCertificate
from tfrobust.reports.pixels import class_name
from tfrobust.robustness.comparison import Comparison
from tfrobust.robustness.labels_report import LabelsReport
from tfrobust.robustness.performance import Performance
from tfrobust.robustness.predictions import UNKNOWN, Predictions
from tfrobust.robustness.report import AraReport

if TYPE_CHECKING:
    import pandas

    from tfrobust import explanations, metrics
    from tfrobust.explanations import Explanation

LONGEST_NAME = 60


def _frame(columns: dict[str, Any], index: str | None) -> "pandas.DataFrame":
    """Columns of equal length as a data frame whose index has a name."""
    try:
        import pandas
    except ImportError as error:
        raise ImportError(
            "a data frame needs pandas, which is not installed; pip install 'tfrobust[dataframe]'"
        ) from error
    frame = pandas.DataFrame(columns)
    frame.index.name = index
    return frame


def report_frame(report: AraReport) -> "pandas.DataFrame":
    """A row for each image: what the network says of it, its smallest sizes, those of each attack.

    Classes have their names if the report has them; a class that is not known is missing.
    Probabilities are those at the report's temperature, if it has one.
    """
    said = report.predictions
    columns: dict[str, Any] = {}
    if said is not None:
        columns = _said(said, report.class_names, report.temperature)
    columns |= {
        "attack_rmse": report.attack_rmse,
        "btr_rmse": report.btr_rmse,
    }
    if report.attack_linf is not None:
        columns["attack_linf"] = report.attack_linf
    if report.lipschitz is not None:
        columns["certified_rmse"] = report.lipschitz.rmse
    columns |= {f"{record.goal}: {record.name}": record.rmse for record in report.attacks}
    return _frame(columns, "image")


def _said(
    said: Predictions, class_names: Sequence[str], temperature: float | None
) -> dict[str, Any]:
    """The columns of predictions: which image, its label, and the classes that it is given."""

    def classes(numbers: np.ndarray) -> Any:
        if not class_names:
            return numbers
        return [None if number == UNKNOWN else class_names[number] for number in numbers]

    columns: dict[str, Any] = {}
    if said.files:
        columns["file"] = said.files
    if said.groups:
        columns["group"] = said.groups
    columns["label"] = classes(said.labels)
    columns["predicted"] = classes(said.predicted)
    columns["attacked"] = classes(said.attacked)
    shares = said.probabilities if temperature is None else said.at_temperature(temperature)
    return columns | {"probability": shares[np.arange(len(said.labels)), said.labels]}


def performance_frame(found: Performance) -> "pandas.DataFrame":
    """A row for each size of attack and class: each figure, and the ends of its interval."""
    rows = []
    for at in found.sizes:
        for one in at.classes:
            row: dict[str, Any] = {"rmse": at.rmse, "class": one.name, "images": one.images}
            for name in ("sensitivity", "specificity", "auc", "average_precision"):
                estimate = getattr(one, name)
                row[name] = estimate.value
                row |= {f"{name}_low": estimate.low, f"{name}_high": estimate.high}
            rows.append(row)
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    return _frame(columns, None).set_index(["rmse", "class"])


def labels_frame(report: LabelsReport) -> "pandas.DataFrame":
    """A row for each image and label: the truth, the decision, and the smallest size."""
    count = len(report.labels[0].holds)
    columns = {
        "label": [one.label for one in report.labels for _ in range(count)],
        "image": [number for _ in report.labels for number in range(count)],
        "holds": np.concatenate([one.holds for one in report.labels]),
        "predicted": np.concatenate([one.predicted for one in report.labels]),
        "attack_rmse": np.concatenate([one.report.attack_rmse for one in report.labels]),
    }
    return _frame(columns, None).set_index(["label", "image"])


def certificate_frame(certificate: Certificate) -> "pandas.DataFrame":
    """A row for each image."""
    return _frame(
        {name: getattr(certificate, name) for name in ("predicted", "votes", "l2", "rmse")},
        "image",
    )


def lipschitz_frame(certificate: LipschitzCertificate) -> "pandas.DataFrame":
    """A row for each image."""
    return _frame({name: getattr(certificate, name) for name in ("l2", "rmse")}, "image")


def clever_frame(clever: Clever) -> "pandas.DataFrame":
    """A row for each image."""
    return _frame({name: getattr(clever, name) for name in ("l2", "rmse", "rival", "fit")}, "image")


def comparison_frame(comparison: Comparison) -> "pandas.DataFrame":
    """A row for each goal."""
    goals = {"attack": comparison.attack, "btr": comparison.btr}
    columns = {
        name: [getattr(ratio, name) for ratio in goals.values()]
        for name in ("value", "low", "high", "paired")
    }
    return _frame({"goal": list(goals), **columns}, None).set_index("goal")


def explanation_frame(
    explanation: "Explanation", class_names: Sequence[str] = ()
) -> "pandas.DataFrame":
    """A row for each image."""
    columns: dict[str, Any] = {"target": explanation.target}
    if len(class_names):
        columns["class"] = [
            class_name(class_names, target, LONGEST_NAME) for target in explanation.target
        ]
    names = ("confidence_before", "confidence_after", "rmse", "reached")
    columns |= {name: getattr(explanation, name) for name in names}
    return _frame(columns, "image")


def metrics_frame(table: "metrics.Table") -> "pandas.DataFrame":
    """A row for each method and measure; NaN where a measure does not apply."""
    rows = [
        (method, measure, *(mean or (math.nan,) * 3))
        for method, means in table.means().items()
        for measure, mean in zip(table.columns, means, strict=True)
    ]
    names = ("method", "measure", "mean", "low", "high")
    columns = dict(zip(names, zip(*rows, strict=True), strict=True))
    return _frame(columns, None).set_index(["method", "measure"])


def dissection_frame(found: "explanations.Dissection") -> "pandas.DataFrame":
    """A row for each unit, with the concept that it fits best."""
    units = found.units()
    columns = {name: [getattr(unit, name) for unit in units] for name in units[0]._fields}
    columns["is_detector"] = [unit.is_detector for unit in units]
    return _frame(columns, None).set_index(["layer", "unit"])
