"""How good an explanation is."""

from tfrobust.metrics.deletion import deletion, insertion
from tfrobust.metrics.explanation_attack import AttackedExplanation, ExplanationAttack
from tfrobust.metrics.fidelity import (
    Following,
    compare,
    compare_attacked,
    following,
    stability,
)
from tfrobust.metrics.randomization import Randomization, randomization
from tfrobust.metrics.similarity import rank_correlation, top_k_overlap
from tfrobust.metrics.table import Table

__all__ = [
    "AttackedExplanation",
    "ExplanationAttack",
    "Following",
    "Randomization",
    "Table",
    "compare",
    "compare_attacked",
    "deletion",
    "following",
    "insertion",
    "randomization",
    "rank_correlation",
    "stability",
    "top_k_overlap",
]
