"""Evaluation: from the sizes that attacks find to an area with its interval, and a report.

`evaluate` is at `tfrobust.evaluate`; what is here does without TensorFlow.
"""

from tfrobust.evaluation.ara import Ara, accuracy_robustness_area
from tfrobust.evaluation.certificate import Certificate
from tfrobust.evaluation.comparison import Comparison, compare, first_images
from tfrobust.evaluation.comparison_page import comparison_html
from tfrobust.evaluation.estimate import Clever
from tfrobust.evaluation.report import AraReport, AttackRecord

__all__ = [
    "Ara",
    "AraReport",
    "AttackRecord",
    "Certificate",
    "Clever",
    "Comparison",
    "accuracy_robustness_area",
    "compare",
    "comparison_html",
    "first_images",
]
