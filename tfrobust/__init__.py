"""Image classifiers that resist adversarial examples, explain themselves with them, and ship.

After Woods, Chen and Teuscher, "Adversarial explanations for understanding image
classification decisions and improved neural network robustness", Nature Machine
Intelligence 2019 (arXiv 1906.02896).

``import tfrobust`` is quick: TensorFlow loads at the first use of a name that needs it.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tfrobust import attacks, datasets, explanations, metrics, models, robustness, training
    from tfrobust.core.loading import load
    from tfrobust.explanations.adversarial import explain
    from tfrobust.exporting.saved_model import export
    from tfrobust.robustness.evaluate import evaluate
    from tfrobust.training.classifier import RobustClassifier

__version__ = "0.1.0"
__all__ = [
    "RobustClassifier",
    "attacks",
    "datasets",
    "evaluate",
    "explain",
    "explanations",
    "export",
    "load",
    "metrics",
    "models",
    "robustness",
    "training",
]

_HOME = {
    "RobustClassifier": "tfrobust.training.classifier",
    "evaluate": "tfrobust.robustness.evaluate",
    "explain": "tfrobust.explanations.adversarial",
    "export": "tfrobust.exporting.saved_model",
    "load": "tfrobust.core.loading",
}


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(_HOME[name]), name)
    if name in __all__:
        return importlib.import_module(f"tfrobust.{name}")
    raise AttributeError(f"module 'tfrobust' has no attribute '{name}'")
