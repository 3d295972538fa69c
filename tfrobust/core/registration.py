"""Tells Keras of the classes in our files, so that `import tfrobust` is enough to load them.

Keras loads only what was registered by the time, and imports no module of ours by itself. Importing
the classes would import TensorFlow, which `import tfrobust` must not do.
"""

import dataclasses
import importlib
from typing import Any

import wrapt

# Each class that `register_keras_serializable` registers, and the module that defines it.
CLASSES = {
    "AsLogits": "tfrobust.core.outputs",
    "AttentionPooling": "tfrobust.models.attention",
    "BaseRates": "tfrobust.training.base_rates",
    "ConvMuon": "tfrobust.training.muon",
    "EvidencePenalty": "tfrobust.training.evidence",
    "InputGradientPenalty": "tfrobust.training.penalty",
    "L2MinWalk": "tfrobust.training.adversarial",
    "L2SGD": "tfrobust.training.optimizer",
    "L2Walk": "tfrobust.training.adversarial",
    "Madry": "tfrobust.training.ball",
    "MarginLoss": "tfrobust.training.margin",
    "MaxMin": "tfrobust.models.lipschitz_layers",
    "Orthogonal": "tfrobust.models.orthogonal",
    "PsiController": "tfrobust.training.psi",
    "RobustClassifier": "tfrobust.training.classifier",
    "ShakeDrop": "tfrobust.models.dropped_branch",
    "SoftLabels": "tfrobust.training.soft_labels",
    "SpaceToDepth": "tfrobust.models.lipschitz_layers",
    "SpatialShift": "tfrobust.models.lipschitz_layers",
    "StochasticDepth": "tfrobust.models.dropped_branch",
    "Trades": "tfrobust.training.ball",
    "WeightPerturbation": "tfrobust.training.weight_perturbation",
}
# This module is imported with Keras. An activation is a function, for which nothing can stand, and
# the module imports nothing else of ours, which may be half imported at that time.
LAYERS = "tfrobust.core.layers"


@dataclasses.dataclass(frozen=True)
class Deferred:
    """Stands for a class in Keras' register until a file names it."""

    module: str
    name: str

    def from_config(self, config: dict[str, Any]) -> Any:
        """Imports the class, which registers itself, and makes an object of it."""
        return getattr(importlib.import_module(self.module), self.name).from_config(config)


def when_keras_is_imported() -> None:
    """Registers the classes now if Keras is there already, else as soon as it is."""
    wrapt.register_post_import_hook(_register, "keras")


def _register(keras: Any) -> None:
    known = keras.saving.get_custom_objects()
    for name, module in CLASSES.items():
        known.setdefault(f"tfrobust>{name}", Deferred(module, name))
    importlib.import_module(LAYERS)
