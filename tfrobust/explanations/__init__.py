"""Explanations: the adversarial ones of the paper, others to compare them with, and their tests."""

from tfrobust.explanations.adversarial import Adversarial, at_sizes, explain
from tfrobust.explanations.base import Explanation, Method
from tfrobust.explanations.blocks import rivals
from tfrobust.explanations.deletion import deletion, insertion
from tfrobust.explanations.explanation_attack import AttackedExplanation, ExplanationAttack
from tfrobust.explanations.fidelity import (
    Following,
    compare,
    compare_attacked,
    following,
    stability,
)
from tfrobust.explanations.grad_cam import GradCAM
from tfrobust.explanations.gradients import (
    GradientsInputs,
    IntegratedGradients,
    SmoothGrad,
    VanillaGradients,
)
from tfrobust.explanations.occlusion import Occlusion
from tfrobust.explanations.randomization import Randomization, randomization
from tfrobust.explanations.similarity import rank_correlation, top_k_overlap
from tfrobust.explanations.smallest_change import SmallestChange
from tfrobust.explanations.table import Table

__all__ = [
    "Adversarial",
    "AttackedExplanation",
    "Explanation",
    "ExplanationAttack",
    "Following",
    "GradCAM",
    "GradientsInputs",
    "IntegratedGradients",
    "Method",
    "Occlusion",
    "Randomization",
    "SmallestChange",
    "SmoothGrad",
    "Table",
    "VanillaGradients",
    "at_sizes",
    "compare",
    "compare_attacked",
    "deletion",
    "explain",
    "following",
    "insertion",
    "randomization",
    "rank_correlation",
    "rivals",
    "stability",
    "top_k_overlap",
]
