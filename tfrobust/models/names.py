"""The choices that a network of this package is built from. Importing this needs no TensorFlow."""

ARCHITECTURES = ("resnet_cifar", "resnet_imagenet")
ACTIVATIONS = ("half_huber_relu", "relu")
