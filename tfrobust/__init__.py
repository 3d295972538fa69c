"""Image classifiers that resist adversarial examples, explain themselves with them, and ship.

After Woods, Chen and Teuscher, "Adversarial explanations for understanding image
classification decisions and improved neural network robustness", Nature Machine
Intelligence 2019 (arXiv 1906.02896).

``import tfrobust`` is quick: TensorFlow loads at the first use of a name that needs it.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tfrobust import attacks, datasets, evaluation, explanations, models, training
    from tfrobust.evaluation.evaluate import evaluate
    from tfrobust.explanations.adversarial import explain
    from tfrobust.exporting.loading import load
    from tfrobust.exporting.saved_model import export
    from tfrobust.training.classifier import RobustClassifier

__version__ = "0.1.0"
__all__ = [
    "RobustClassifier",
    "attacks",
    "datasets",
    "evaluate",
    "evaluation",
    "explain",
    "explanations",
    "export",
    "load",
    "models",
    "training",
]

_HOME = {
    "RobustClassifier": "tfrobust.training.classifier",
    "evaluate": "tfrobust.evaluation.evaluate",
    "explain": "tfrobust.explanations.adversarial",
    "export": "tfrobust.exporting.saved_model",
    "load": "tfrobust.exporting.loading",
}


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(_HOME[name]), name)
    if name in __all__:
        return importlib.import_module(f"tfrobust.{name}")
    raise AttributeError(f"module 'tfrobust' has no attribute '{name}'")
