"""Keras networks that give logits and normalise their input inside."""

from tfrobust.models import published
from tfrobust.models.layers import HalfHuberReLU, InputNormalization
from tfrobust.models.resnet import resnet_cifar, resnet_imagenet

__all__ = ["HalfHuberReLU", "InputNormalization", "published", "resnet_cifar", "resnet_imagenet"]
