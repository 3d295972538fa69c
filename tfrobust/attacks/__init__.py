"""Attacks: from a model, images and labels to the smallest perturbation found per image."""

from tfrobust.attacks.base import Attack, AttackResult
from tfrobust.attacks.blend import Blend
from tfrobust.attacks.carlini_wagner import CarliniWagner
from tfrobust.attacks.cleverhans import FGM, MIM, PGD
from tfrobust.attacks.criteria import BelowChance, Criterion, Misclassified, TargetClass
from tfrobust.attacks.ddn import DDN
from tfrobust.attacks.fmn import FMN
from tfrobust.attacks.foolbox import Decision
from tfrobust.attacks.opaque import Opaque
from tfrobust.attacks.paper import L2Min
from tfrobust.attacks.projection import Projection
from tfrobust.attacks.random_networks import expectation
from tfrobust.attacks.spsa import SPSA
from tfrobust.attacks.transfer import Transfer

__all__ = [
    "DDN",
    "FGM",
    "FMN",
    "MIM",
    "PGD",
    "SPSA",
    "Attack",
    "AttackResult",
    "BelowChance",
    "Blend",
    "CarliniWagner",
    "Criterion",
    "Decision",
    "L2Min",
    "Misclassified",
    "Opaque",
    "Projection",
    "TargetClass",
    "Transfer",
    "expectation",
]
