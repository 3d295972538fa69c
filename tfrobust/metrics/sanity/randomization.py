"""Sensitivity to the parameters: a map that survives their loss tells nothing of the network.

Layers lose what they learnt one after the other, from the logits down ("cascading randomisation",
Adebayo et al., arXiv 1810.03292), and each time the map is compared with that of the whole network.
"""

import dataclasses
from typing import Any

import keras
import numpy as np

from tfrobust.core.classifier import Model
from tfrobust.errors import InputError
from tfrobust.explanations.base import Method
from tfrobust.explanations.explanation import Explanation
from tfrobust.explanations.targets import question
from tfrobust.metrics.similarity import rank_correlation


@dataclasses.dataclass(frozen=True)
class Randomization:
    """How alike maps stay while layers are randomised from the logits down.

    Args:
        layers: int (L,), how many layers were randomised.
        total: how many layers with weights there are.
        rank_correlation: float64 (L, N), Spearman's correlation of each image's map with the map
            of the network as it was. Near 0 is right; near 1, the map does not depend on them.
    """

    layers: np.ndarray
    total: int
    rank_correlation: np.ndarray


def randomization(
    network: Model,
    method: Method,
    images: Any,
    targets: Any = None,
    *,
    levels: int = 4,
    seed: int = 0,
    before: Explanation | None = None,
) -> Randomization:
    """Measures how much a method's map depends on what the network has learnt.

    A layer is randomised by shuffling the values of each of its trainable weights: their
    distribution stays, and layers that begin at zero become random as well.

    Args:
        network: a Keras classifier, functional or Sequential.
        method: what makes the maps.
        images: float (N, H, W, C) in [0, 1].
        targets: int (N,) or a single int; None or −1 for the class that the network predicts as
            it is, which stays the target.
        levels: at how many depths to look; the last is all layers, the first the logits' alone.
        seed: of the shuffles.
        before: the method's explanation by the network as it is, where that is known.

    Returns:
        The correlations.

    Raises:
        InputError: a model without layers or without trainable weights, no level, or what the
            method refuses.
    """
    classifier, images, targets = question(network, images, targets)
    if classifier.network is None:
        raise InputError(f"expected a Keras model with layers, got {classifier.name}")
    if levels < 1:
        raise InputError(f"expected at least 1 level, got {levels}")
    before = before or method(classifier, images, targets)
    twin = keras.models.clone_model(classifier.network)
    twin.set_weights(classifier.network.get_weights())
    layers = _leaves(twin)
    for layer in layers:
        layer.trainable = True  # what is frozen was learnt as well
    learning = [layer for layer in layers if layer.trainable_weights][::-1]
    if not learning:
        raise InputError("expected a network with trainable weights, got one without any")
    depths = np.unique(np.linspace(1, len(learning), levels).round().astype(int))
    if levels == 1:
        depths = np.array([len(learning)])
    rng = np.random.default_rng(seed)
    found, done = [], 0
    for depth in depths:
        for layer in learning[done:depth]:
            for weight in layer.trainable_weights:
                values = weight.numpy()
                weight.assign(rng.permutation(values.ravel()).reshape(values.shape))
        done = depth
        after = method(twin, images, before.target)
        found.append(rank_correlation(before.map, after.map))
    return Randomization(depths, len(learning), np.stack(found))


def _leaves(layer: keras.layers.Layer) -> list[keras.layers.Layer]:
    """The layers of a model in their order, those of nested models among them."""
    if not isinstance(layer, keras.Model):
        return [layer]
    return [leaf for inner in layer.layers for leaf in _leaves(inner)]
