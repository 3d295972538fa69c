"""Ablation: what becomes of a network's answers when some of its units are switched off."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from tfrobust.core.batching import in_batches
from tfrobust.core.classifier import Classifier, Model
from tfrobust.core.door import as_classifier
from tfrobust.core.images import checked_images, checked_labels
from tfrobust.errors import InputError
from tfrobust.explanations.feature_layer import feature_layers, run_through


class Ablation(NamedTuple):
    """The accuracy of each class, with units and without.

    Args:
        before: float (K,), the share of each class's images that the network is right about; NaN
            for a class without images.
        after: float (K,), the same without the units.
        at_random: float (draws, K), the same without as many of the layer's other units.
    """

    before: np.ndarray
    after: np.ndarray
    at_random: np.ndarray


def ablate(
    model: Model,
    images: Any,
    labels: Any,
    *,
    layer: str,
    units: Sequence[int],
    draws: int = 10,
    batch_size: int = 32,
    seed: int = 0,
) -> Ablation:
    """Switches units off, and then others in their stead: units matter if others matter less.

    Args:
        model: a Keras network, or what `as_classifier` makes of one.
        images: float (N, H, W, C) in [0, 1], or uint8.
        labels: int (N,), the classes.
        layer: the name of a layer with output (B, h, w, units).
        units: which channels, from 0; at most half of them, so that there are as many others.
        draws: how many sets of other units are tried, at least 1.
        batch_size: images that the network sees at a time.
        seed: of the draws.

    Returns:
        The accuracy of each class with and without the units.

    Raises:
        InputError: as for `switched_off`; or images and labels do not fit.

    Source: Bau et al., arXiv 1811.10597, section 3.2, asked of a classifier.
    """
    classifier = as_classifier(model)
    images = checked_images(images, classifier, at_least_one=True)
    labels = checked_labels(labels, len(images), classifier.num_classes)
    without = switched_off(classifier, layer=layer, units=units)
    _, found = feature_layers(classifier, [layer])
    channels, count = found[layer].shape[-1], len(set(units))
    if not 1 <= count <= channels // 2 or draws < 1:
        raise InputError(
            f"expected from 1 to {channels // 2} units of {layer}, which has {channels}, and at "
            f"least one draw, got {count} and {draws}"
        )
    others = np.setdiff1d(np.arange(channels), units)
    rng = np.random.default_rng(seed)
    sets = [rng.choice(others, count, replace=False) for _ in range(draws)]

    def right(network: Any) -> np.ndarray:
        logits = in_batches(lambda block: network(block, training=False), batch_size, images)
        hits, classes = logits.argmax(axis=-1) == labels, range(logits.shape[-1])
        return np.array(
            [hits[labels == one].mean() if (labels == one).any() else np.nan for one in classes]
        )

    return Ablation(
        before=right(classifier.network),
        after=right(without),
        at_random=np.array(
            [right(switched_off(classifier, layer=layer, units=one.tolist())) for one in sets]
        ),
    )


def switched_off(model: Model, *, layer: str, units: Sequence[int]) -> keras.Model:
    """A network in which some units of a layer are 0 everywhere. It shares the weights.

    Args:
        model: a Keras network, or what `as_classifier` makes of one.
        layer: the name of a layer with output (B, h, w, units).
        units: which channels, from 0.

    Returns:
        Images from 0 to 1 → logits.

    Raises:
        InputError: there is no such layer, or it has no such unit.
    """
    classifier: Classifier = as_classifier(model)
    network, found = feature_layers(classifier, [layer])
    channels = found[layer].shape[-1]
    wrong = [unit for unit in units if not 0 <= unit < channels]
    if wrong:
        raise InputError(f"expected units of {layer} from 0 to {channels - 1}, got {wrong}")
    kept = tf.constant([float(unit not in units) for unit in range(channels)])

    def ablated(operation: Any) -> Any:
        if operation.name != layer:
            return operation

        def call(*values: Any, **named: Any) -> Any:
            features = operation(*values, **named)
            return features * tf.cast(kept, features.dtype)

        return call

    return run_through(network, ablated)
