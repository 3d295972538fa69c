"""Attacks: from a model, images and labels to the smallest perturbation found per image."""

from tfrobust.attacks.base import Attack, AttackResult
from tfrobust.attacks.cleverhans import PGD
from tfrobust.attacks.criteria import BelowChance, Criterion, Misclassified, TargetClass
from tfrobust.attacks.paper import L2Min
from tfrobust.attacks.projection import Projection

__all__ = [
    "PGD",
    "Attack",
    "AttackResult",
    "BelowChance",
    "Criterion",
    "L2Min",
    "Misclassified",
    "Projection",
    "TargetClass",
]
