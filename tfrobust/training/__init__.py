"""Training with the gradient penalty whose weight adapts."""

from tfrobust.training.classifier import RobustClassifier
from tfrobust.training.penalty import InputGradientPenalty
from tfrobust.training.psi import PsiController

__all__ = ["InputGradientPenalty", "PsiController", "RobustClassifier"]
