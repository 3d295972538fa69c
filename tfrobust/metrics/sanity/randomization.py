"""Sensitivity to the parameters: a map that survives their loss tells nothing of the network.

Layers lose what they learnt one after the other, from the logits down ("cascading randomisation",
Adebayo et al., arXiv 1810.03292), and each time the map is compared with that of the whole network.
"""

import dataclasses

import keras
import numpy as np

from tfrobust.errors import InputError
from tfrobust.metrics.method_measure import Explained, MethodMeasure
from tfrobust.metrics.similarity import rank_correlation
from tfrobust.models.copies import duplicate


@dataclasses.dataclass(frozen=True)
class RandomizedLikeness:
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


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Randomization(MethodMeasure[RandomizedLikeness]):
    """Measures how much a method's map depends on what the network has learnt.

    A layer is randomised by shuffling the values of each of its trainable weights: their
    distribution stays, and layers that begin at zero become random as well. The network must be a
    Keras one, functional or Sequential, with trainable weights. It gives a `RandomizedLikeness`.

    Args:
        levels: at how many depths to look; the last is all layers, the first the logits' alone.
        seed: of the shuffles.
    """

    levels: int = 4
    seed: int = 0

    def __post_init__(self) -> None:
        if self.levels < 1:
            raise InputError(f"expected at least 1 level, got {self.levels}")

    def _judge(self, asked: Explained) -> RandomizedLikeness:
        network, before = asked.network.network, asked.before
        if network is None:
            raise InputError(f"expected a Keras model with layers, got {asked.network.name}")
        twin = duplicate(network)
        layers = _leaves(twin)
        for layer in layers:
            layer.trainable = True  # what is frozen was learnt as well
        learning = [layer for layer in layers if layer.trainable_weights][::-1]
        if not learning:
            raise InputError("expected a network with trainable weights, got one without any")
        depths = np.unique(np.linspace(1, len(learning), self.levels).round().astype(int))
        if self.levels == 1:
            depths = np.array([len(learning)])
        rng = np.random.default_rng(self.seed)
        found, done = [], 0
        for depth in depths:
            for layer in learning[done:depth]:
                for weight in layer.trainable_weights:
                    values = weight.numpy()
                    weight.assign(rng.permutation(values.ravel()).reshape(values.shape))
            done = depth
            after = asked.method(twin, asked.images, before.target)
            found.append(rank_correlation(before.map, after.map))
        return RandomizedLikeness(depths, len(learning), np.stack(found))


def _leaves(layer: keras.layers.Layer) -> list[keras.layers.Layer]:
    """The layers of a model in their order, each once, those of nested models among them."""
    if not isinstance(layer, keras.Model):
        return [layer]
    return list(dict.fromkeys(leaf for inner in layer.layers for leaf in _leaves(inner)))
