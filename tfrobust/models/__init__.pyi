from . import published as published
from .convert import half_huber as half_huber
from .convert import logits_network as logits_network
from .mirror import mirrored as mirrored
from .resnet import HalfHuberReLU as HalfHuberReLU
from .resnet import InputNormalization as InputNormalization
from .resnet import resnet_cifar as resnet_cifar
from .resnet import resnet_imagenet as resnet_imagenet
