"""Keras networks that give logits and normalise their input inside.

Importing this package does not import TensorFlow; its names do, when they are first used.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tfrobust.core.layers import HalfHuberReLU, InputNormalization
    from tfrobust.core.logits import logits_network
    from tfrobust.models import published
    from tfrobust.models.convert import half_huber
    from tfrobust.models.mirror import mirrored
    from tfrobust.models.resnet import resnet_cifar, resnet_imagenet

__all__ = [
    "HalfHuberReLU",
    "InputNormalization",
    "half_huber",
    "logits_network",
    "mirrored",
    "published",
    "resnet_cifar",
    "resnet_imagenet",
]

_HOME = {
    "HalfHuberReLU": "tfrobust.core.layers",
    "InputNormalization": "tfrobust.core.layers",
    "half_huber": "tfrobust.models.convert",
    "logits_network": "tfrobust.core.logits",
    "mirrored": "tfrobust.models.mirror",
    "resnet_cifar": "tfrobust.models.resnet",
    "resnet_imagenet": "tfrobust.models.resnet",
}


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(_HOME[name]), name)
    if name == "published":
        return importlib.import_module("tfrobust.models.published")
    raise AttributeError(f"module 'tfrobust.models' has no attribute '{name}'")
