"""The choices that a network of this package is built from. Importing this needs no TensorFlow."""

from typing import Literal, get_args

ARCHITECTURES = ("resnet_cifar", "resnet_imagenet", "lipschitz")
Activation = Literal["half_huber_relu", "relu", "silu", "gelu"]
ACTIVATIONS = get_args(Activation)
Drop = Literal["none", "stochastic_depth", "shake_drop"]
DROPS = get_args(Drop)
