"""Evaluation: from the sizes that attacks find to an area with its interval, and a report.

`evaluate` is at `tfrobust.evaluate`; what is here does without TensorFlow.
"""

from tfrobust.certification.certificate import Certificate
from tfrobust.certification.estimate import Clever
from tfrobust.core.ara import Ara, accuracy_robustness_area
from tfrobust.robustness.comparison import Comparison, compare, first_images
from tfrobust.robustness.labels_report import LabelReport, LabelsReport
from tfrobust.robustness.predictions import Predictions
from tfrobust.robustness.report import AraReport, AttackRecord

__all__ = [
    "Ara",
    "AraReport",
    "AttackRecord",
    "Certificate",
    "Clever",
    "Comparison",
    "LabelReport",
    "LabelsReport",
    "Predictions",
    "accuracy_robustness_area",
    "compare",
    "first_images",
]
