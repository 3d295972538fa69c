"""Explanations: the adversarial ones of the paper, and others to compare them with."""

from tfrobust.explanations.adversarial import Explanation, explain

__all__ = ["Explanation", "explain"]
