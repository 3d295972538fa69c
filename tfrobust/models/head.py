"""The last layer of a classifier, which gives the classes: a new one, or the only one to train."""

from collections.abc import Iterable, Iterator

import keras

from tfrobust.core.logits import has_graph
from tfrobust.errors import InputError
from tfrobust.models.copies import copied
from tfrobust.models.weights import give_weights


def with_classes(network: keras.Model, num_classes: int) -> keras.Model:
    """Copies a network, with a new last layer that gives another number of classes.

    Args:
        network: a built functional or Sequential model, images → (B, K), whose last layer with
            weights is a Dense or Conv2D layer.
        num_classes: of the copy.

    Returns:
        A new model with copies of the weights, but for those of its last layer, which come from
        Keras' global seed.

    Raises:
        InputError: the network is subclassed, or its last layer is another one.
    """
    last = parts(network)[-1] if has_graph(network) else None
    sizes = {keras.layers.Dense: "units", keras.layers.Conv2D: "filters"}
    if type(last) not in sizes:
        raise InputError(
            f"expected a functional or Sequential model to exchange the last layer of, which is a "
            f"Dense or Conv2D layer, got a {type(network).__name__} with "
            f"{type(last).__name__ if last else 'layers that only its code knows'}"
        )

    def exchanged(operation: keras.Operation) -> keras.Operation:
        if not isinstance(operation, keras.layers.Layer):
            return operation
        config = operation.get_config()
        if operation is last:
            config[sizes[type(operation)]] = num_classes
        return type(operation).from_config(config)

    twin = copied(network, exchanged)
    for ours, theirs in zip(parts(twin)[:-1], parts(network)[:-1], strict=True):
        give_weights(ours, theirs.get_weights())
    return twin


def freeze_body(network: keras.Model) -> list[keras.layers.Layer]:
    """Freezes all layers that are trained but for the last one.

    Frozen batch normalisation takes the statistics that it has, and keeps them.

    Args:
        network: a built Keras classifier.

    Returns:
        The layers that were frozen, for `thaw`.
    """
    # One without trainable variables may be batch normalisation, which has statistics all the same.
    frozen = [layer for layer in parts(network)[:-1] if layer.trainable]
    for layer in frozen:
        layer.trainable = False
    return frozen


def thaw(layers: Iterable[keras.layers.Layer]) -> None:
    """Lets layers be trained again."""
    for layer in layers:
        layer.trainable = True


def parts(network: keras.Model) -> list[keras.layers.Layer]:
    """The layers that hold weights themselves, in the order of the network, each once."""
    return list({id(layer): layer for layer in _parts(network)}.values())


def _parts(layer: keras.layers.Layer) -> Iterator[keras.layers.Layer]:
    if layer._trainable_variables or layer._non_trainable_variables:
        yield layer
        return
    for inner in layer.layers if isinstance(layer, keras.Model) else layer._layers:
        yield from _parts(inner)
