"""Keras networks that give logits and normalise their input inside."""

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
