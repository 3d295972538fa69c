"""Evaluation: from the sizes that attacks find to an area with its interval, and a report.

`evaluate` is at `tfrobust.evaluate`; what is here does without TensorFlow.
"""

from tfrobust.certification.certificate import Certificate
from tfrobust.certification.estimate import Clever
from tfrobust.core.ara import Ara, accuracy_robustness_area
from tfrobust.core.bootstrap import Estimate
from tfrobust.robustness.attack_record import AttackRecord
from tfrobust.robustness.calibration import Calibration, fit_temperature
from tfrobust.robustness.comparison import Comparison, compare, first_images
from tfrobust.robustness.labels_report import LabelReport, LabelsReport
from tfrobust.robustness.performance import (
    AtSize,
    ClassPerformance,
    PartRobustness,
    Performance,
)
from tfrobust.robustness.predictions import Predictions
from tfrobust.robustness.report import AraReport
from tfrobust.robustness.thresholds import youden_thresholds

__all__ = [
    "Ara",
    "AraReport",
    "AtSize",
    "AttackRecord",
    "Calibration",
    "Certificate",
    "ClassPerformance",
    "Clever",
    "Comparison",
    "Estimate",
    "LabelReport",
    "LabelsReport",
    "PartRobustness",
    "Performance",
    "Predictions",
    "accuracy_robustness_area",
    "compare",
    "first_images",
    "fit_temperature",
    "youden_thresholds",
]
