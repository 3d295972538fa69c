"""How good an explanation is."""

from tfrobust.metrics.comparison import compare, compare_manipulated
from tfrobust.metrics.deletion import deletion, insertion
from tfrobust.metrics.manipulation import ManipulatedExplanation, Manipulation
from tfrobust.metrics.monotonicity import Monotonicity, monotonicity
from tfrobust.metrics.randomization import Randomization, randomization
from tfrobust.metrics.similarity import rank_correlation, top_k_overlap
from tfrobust.metrics.stability import stability
from tfrobust.metrics.table import Table

__all__ = [
    "ManipulatedExplanation",
    "Manipulation",
    "Monotonicity",
    "Randomization",
    "Table",
    "compare",
    "compare_manipulated",
    "deletion",
    "insertion",
    "monotonicity",
    "randomization",
    "rank_correlation",
    "stability",
    "top_k_overlap",
]
