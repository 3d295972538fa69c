"""Explanations: the adversarial ones of the paper, others to compare them with."""

from tfrobust.explanations.ablation import Ablation, ablate, switched_off
from tfrobust.explanations.adversarial import Adversarial, at_sizes, explain
from tfrobust.explanations.attention import Attention
from tfrobust.explanations.base import Method
from tfrobust.explanations.dissection import Dissection, Unit, dissect
from tfrobust.explanations.explanation import Explanation
from tfrobust.explanations.grad_cam import GradCAM
from tfrobust.explanations.gradients import (
    GradientsInputs,
    IntegratedGradients,
    SmoothGrad,
    VanillaGradients,
)
from tfrobust.explanations.growing import growing
from tfrobust.explanations.lime import LIME
from tfrobust.explanations.occlusion import Occlusion
from tfrobust.explanations.overviews import Overview, overview
from tfrobust.explanations.partition_shap import PartitionSHAP
from tfrobust.explanations.rise import RISE
from tfrobust.explanations.score_cam import ScoreCAM
from tfrobust.explanations.smallest_change import SmallestChange, SparseChange
from tfrobust.explanations.targets import rivals

__all__ = [
    "LIME",
    "RISE",
    "Ablation",
    "Adversarial",
    "Attention",
    "Dissection",
    "Explanation",
    "GradCAM",
    "GradientsInputs",
    "IntegratedGradients",
    "Method",
    "Occlusion",
    "Overview",
    "PartitionSHAP",
    "ScoreCAM",
    "SmallestChange",
    "SmoothGrad",
    "SparseChange",
    "Unit",
    "VanillaGradients",
    "ablate",
    "at_sizes",
    "dissect",
    "explain",
    "growing",
    "overview",
    "rivals",
    "switched_off",
]
