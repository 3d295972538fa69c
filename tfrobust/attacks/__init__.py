"""Attacks: from a model, images and labels to the smallest perturbation found per image."""

from tfrobust.attacks.base import Attack, AttackResult
from tfrobust.attacks.blend import Blend
from tfrobust.attacks.carlini_wagner import CarliniWagner
from tfrobust.attacks.ddn import DDN
from tfrobust.attacks.decision import Decision
from tfrobust.attacks.expectation import expectation
from tfrobust.attacks.fgm import FGM
from tfrobust.attacks.finite_differences import FiniteDifferences
from tfrobust.attacks.fmn import FMN
from tfrobust.attacks.l2_min import L2Min
from tfrobust.attacks.linearized_margin import LinearizedMargin
from tfrobust.attacks.mim import MIM
from tfrobust.attacks.minimum_norm import MinimumNormAttack
from tfrobust.attacks.pgd import PGD
from tfrobust.attacks.second_opinion import SecondOpinion
from tfrobust.attacks.sparse import SparseL1
from tfrobust.attacks.spsa import SPSA
from tfrobust.attacks.square import Square
from tfrobust.attacks.transfer import Transfer
from tfrobust.core.criteria import BelowChance, LabelFlip, Misclassified, TargetClass
from tfrobust.core.criterion import Criterion
from tfrobust.core.opaque import Opaque

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
    "FiniteDifferences",
    "L2Min",
    "LabelFlip",
    "LinearizedMargin",
    "MinimumNormAttack",
    "Misclassified",
    "Opaque",
    "SecondOpinion",
    "SparseL1",
    "Square",
    "TargetClass",
    "Transfer",
    "expectation",
]
