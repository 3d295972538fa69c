"""Training with the gradient penalty whose weight adapts, and adversarial training.

Importing this package does not import TensorFlow; its names do, when they are first used.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tfrobust.training.adversarial import L2MinWalk, L2Walk
    from tfrobust.training.ball import Madry, Trades
    from tfrobust.training.classifier import RobustClassifier
    from tfrobust.training.penalty import InputGradientPenalty
    from tfrobust.training.psi import PsiController

__all__ = [
    "InputGradientPenalty",
    "L2MinWalk",
    "L2Walk",
    "Madry",
    "PsiController",
    "RobustClassifier",
    "Trades",
]

_HOME = {
    "InputGradientPenalty": "tfrobust.training.penalty",
    "L2MinWalk": "tfrobust.training.adversarial",
    "L2Walk": "tfrobust.training.adversarial",
    "Madry": "tfrobust.training.ball",
    "PsiController": "tfrobust.training.psi",
    "RobustClassifier": "tfrobust.training.classifier",
    "Trades": "tfrobust.training.ball",
}


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(_HOME[name]), name)
    raise AttributeError(f"module 'tfrobust.training' has no attribute '{name}'")
