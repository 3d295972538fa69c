"""Ablation: what becomes of a network's answers when some of its units are switched off."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
import numpy as np

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
    without, kept = _switchable(classifier, layer)
    channels, count = kept.shape[0], len(set(units))
    _check_units(units, layer, channels)
    if not 1 <= count <= channels // 2 or draws < 1:
        raise InputError(
            f"expected from 1 to {channels // 2} units of {layer}, which has {channels}, and at "
            f"least one draw, got {count} and {draws}"
        )
    others = np.setdiff1d(np.arange(channels), units)
    rng = np.random.default_rng(seed)
    sets = [rng.choice(others, count, replace=False) for _ in range(draws)]

    def right(off: Any) -> np.ndarray:
        kept.assign(_all_but(off, channels))
        logits = in_batches(lambda block: without(block, training=False), batch_size, images)
        hits, classes = logits.argmax(axis=-1) == labels, range(logits.shape[-1])
        return np.array(
            [hits[labels == one].mean() if (labels == one).any() else np.nan for one in classes]
        )

    return Ablation(
        before=right([]), after=right(units), at_random=np.array([right(one) for one in sets])
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
    network, kept = _switchable(as_classifier(model), layer)
    _check_units(units, layer, kept.shape[0])
    kept.assign(_all_but(units, kept.shape[0]))
    return network


def _switchable(classifier: Classifier, layer: str) -> tuple[keras.Model, keras.Variable]:
    """A network with a factor for each unit of a layer, (units,), all of them 1."""
    network, found = feature_layers(classifier, [layer])
    features = found[layer]
    kept = keras.Variable(np.ones(features.shape[-1]), dtype=features.dtype, trainable=False)

    def ablated(operation: Any) -> Any:
        if operation.name != layer:
            return operation

        def call(*values: Any, **named: Any) -> Any:
            return operation(*values, **named) * kept

        return call

    return run_through(network, ablated), kept


def _all_but(units: Any, channels: int) -> np.ndarray:
    return np.isin(np.arange(channels), units, invert=True).astype(np.float32)


def _check_units(units: Sequence[int], layer: str, channels: int) -> None:
    wrong = [unit for unit in units if not 0 <= unit < channels]
    if wrong:
        raise InputError(f"expected units of {layer} from 0 to {channels - 1}, got {wrong}")
