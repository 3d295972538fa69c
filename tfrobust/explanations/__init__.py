"""Explanations: the adversarial ones of the paper, others to compare them with."""

from tfrobust.explanations.adversarial import Adversarial, at_sizes, explain
from tfrobust.explanations.base import Method
from tfrobust.explanations.explanation import Explanation
from tfrobust.explanations.grad_cam import GradCAM
from tfrobust.explanations.gradients import (
    GradientsInputs,
    IntegratedGradients,
    SmoothGrad,
    VanillaGradients,
)
from tfrobust.explanations.occlusion import Occlusion
from tfrobust.explanations.overviews import Overview, overview
from tfrobust.explanations.smallest_change import SmallestChange
from tfrobust.explanations.targets import rivals

__all__ = [
    "Adversarial",
    "Explanation",
    "GradCAM",
    "GradientsInputs",
    "IntegratedGradients",
    "Method",
    "Occlusion",
    "Overview",
    "SmallestChange",
    "SmoothGrad",
    "VanillaGradients",
    "at_sizes",
    "explain",
    "overview",
    "rivals",
]
