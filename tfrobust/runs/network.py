"""The network that a configuration names: one of ours, one of Keras', a file, or a function."""

import collections
import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import Any

import keras

from tfrobust.core.door import as_classifier, as_whole
from tfrobust.core.loading import load
from tfrobust.core.outputs import AsLogits
from tfrobust.core.python_function import find
from tfrobust.datasets import DatasetInfo
from tfrobust.errors import InputError
from tfrobust.models import lipschitz_network, resnet_cifar, resnet_imagenet
from tfrobust.models.convert import RELU, SMOOTH, Smoothed, smoothed
from tfrobust.models.depthwise_convolution import depthwise
from tfrobust.models.head import with_classes
from tfrobust.models.names import ARCHITECTURES
from tfrobust.runs.applications import FIELD, application
from tfrobust.runs.hub import backbone
from tfrobust.runs.network_section import NetworkConfig


def make(config: NetworkConfig, info: DatasetInfo, *, precision: str = "float32") -> keras.Model:
    """The network that a configuration names, for a data set.

    Args:
        config: `architecture` says which; see there.
        info: of the data set: the images' shape and statistics, and the number of classes.
        precision: "float32", or "bfloat16" for what the layers compute in. Weights stay float32.

    Returns:
        Images (B, H, W, C) in [0, 1] → logits (B, K). All random weights come
        from Keras' global seed.

    Raises:
        InputError: there is no such network, or it does not fit the data.
    """
    form, _, name = config.architecture.partition(":")
    is_file = form not in ("keras", "keras_hub", "python")
    with _layers_in(precision):
        if config.architecture == "lipschitz":
            return _lipschitz(config, info)
        if config.architecture in ARCHITECTURES:
            return _resnet(config, info)
        if form == "keras":
            network = application(name, info, config.weights)
        elif form == "keras_hub":
            network = backbone(name, info)
        elif form == "python":
            network = _from_function(config.architecture, info)
        else:
            network = _from_file(config.architecture, precision)
    classifier = (as_whole if info.multi_label else as_classifier)(network)
    taken, classes = classifier.image_shape, classifier.num_classes
    network = depthwise(classifier.network)
    if is_file and classes != info.num_classes:
        network = with_classes(network, info.num_classes)
        print(
            f"{config.architecture} gives {classes} classes: it gets a new last layer for the "
            f"{info.num_classes} of the data",
            file=sys.stderr,
        )
        classes = network.output_shape[-1]
    if taken != tuple(info.image_shape) or classes != info.num_classes:
        raise InputError(
            f"expected `{FIELD}` {config.architecture} to take images {tuple(info.image_shape)} "
            f"and to give {info.num_classes} classes, as the data has them; it takes {taken} and "
            f"gives {classes}. Images are brought to another size by `data.image_size`"
        )
    if config.activation == "relu":
        return network
    found = smoothed(network)
    for line in said_of_activations(found):
        print(line, file=sys.stderr)
    return found.network


def said_of_activations(found: Smoothed) -> list[str]:
    """How many activations were exchanged, and why others stay: a line for each kind."""
    lines = []
    if found.exchanged:
        lines.append(f"{len(found.exchanged)} × ReLU became Half-Huber ReLU")
    for kind, count in sorted(collections.Counter(found.left.values()).items()):
        if kind in SMOOTH:
            why = "it is smooth, and has a second derivative"
        elif kind == RELU:
            why = "it is inside another layer's code, where it cannot be exchanged"
        else:
            why = (
                "there is no Half-Huber form of it here; the penalty acts on its slopes, not on "
                "its corners"
            )
        lines.append(f"{count} × {kind} stays as it is: {why}")
    return lines


def _lipschitz(config: NetworkConfig, info: DatasetInfo) -> keras.Model:
    given = {} if config.width is None else {"width": config.width}
    return lipschitz_network(
        num_classes=info.num_classes, input_shape=info.image_shape, mean=info.mean, **given
    )


def _resnet(config: NetworkConfig, info: DatasetInfo) -> keras.Model:
    given: dict[str, Any] = {} if config.width is None else {"width": config.width}
    resnet: Callable[..., keras.Model] = resnet_imagenet
    if config.architecture == "resnet_cifar":
        resnet, given["stem_stride"] = resnet_cifar, config.stem_stride
    try:
        return resnet(
            depth=config.depth,
            num_classes=info.num_classes,
            input_shape=info.image_shape,
            activation=config.activation,
            attention=config.attention,
            drop=config.drop,
            drop_rate=config.drop_rate,
            mean=info.mean,
            std=info.std,
            synchronized=config.synchronized,
            **given,
        )
    except ValueError as error:
        raise InputError(f"the configured network cannot be made: {error}") from None


def _from_function(name: str, info: DatasetInfo) -> keras.Model:
    """What a user's function gives. Importing its module runs it."""
    function = find(name)
    expected = f"expected {name}(input_shape=…, num_classes=…) of `{FIELD}` to give a Keras model"
    # Whatever a user's function raises is told.
    try:
        network = function(input_shape=tuple(info.image_shape), num_classes=info.num_classes)
    except Exception as error:
        raise InputError(f"{expected}, but it raised {type(error).__name__}: {error}") from None
    if not isinstance(network, keras.Model):
        raise InputError(f"{expected}, but it gave a {type(network).__name__}")
    return network


def _from_file(path: str, precision: str) -> keras.Model:
    if precision != "float32":
        raise InputError(
            f"expected `training.precision` float32 with `{FIELD}` {path}, got {precision}: the "
            "layers of a file keep their own"
        )
    network = load(path)
    if not isinstance(network, keras.Model):
        raise InputError(f"expected `{FIELD}` {path} to hold a Keras network, to be trained on")
    network.trainable = True
    for layer in network._flatten_layers():
        if isinstance(layer, AsLogits):
            layer.thresholds = None  # they were chosen for the weights as they are now
    return network


@contextlib.contextmanager
def _layers_in(precision: str) -> Iterator[None]:
    """Layers made here compute in a precision; their weights are of Keras' own float."""
    before = keras.config.dtype_policy()
    if precision == "bfloat16":
        keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
