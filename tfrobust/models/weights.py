"""Weights from one network to another."""

from collections.abc import Sequence

import keras
import numpy as np


def give_weights(layer: keras.layers.Layer, weights: Sequence[np.ndarray]) -> None:
    """Sets a layer's or a network's weights, as `set_weights` does, and lets all layers see them.

    `keras.layers.Normalization` computes with copies of its mean and variance, which `set_weights`
    leaves as they were.

    Args:
        layer: that is built.
        weights: as `get_weights` of a layer of the same kind gives them.
    """
    layer.set_weights(list(weights))
    for part in layer._flatten_layers():
        if isinstance(part, keras.layers.Normalization):
            part.finalize_state()
