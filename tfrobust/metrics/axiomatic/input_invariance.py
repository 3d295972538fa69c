"""Input invariance: a network that takes its pixels shifted says the same, and so should a map."""

from typing import Any

import numpy as np
import tensorflow as tf

from tfrobust.core.classifier import Model
from tfrobust.core.door import as_classifier
from tfrobust.errors import InputError
from tfrobust.explanations.base import Method
from tfrobust.explanations.targets import question


def input_invariance(
    model: Model,
    method: Method,
    images: Any,
    targets: Any = None,
    *,
    shift: float = 0.1,
) -> np.ndarray:
    """How much a map changes when pixels are shifted and the network takes the shift back.

    The images are first brought into [0, 1 − shift], so that shifted ones stay in [0, 1].

    Args:
        model: what `as_classifier` takes.
        method: what makes the maps; it must explain networks without layers.
        images: float (N, H, W, C) in [0, 1].
        targets: int (N,) or a single int; None or −1 for the predicted class.
        shift: what is added to every value, above 0 and below 1.

    Returns:
        float64 (N,), Σ|a′ − a| / Σ|a|: 0 is invariant. A map of zeros that changes has infinity.

    Raises:
        InputError: a shift out of range, or what the method refuses.

    Source: Kindermans et al., arXiv 1711.00867.
    """
    if not 0 < shift < 1:
        raise InputError(f"expected a shift above 0 and below 1, got {shift}")
    network, images, targets = question(model, images, targets)
    lowered = (images * np.float32(1 - shift)).astype(np.float32)
    before = method(network, lowered, targets)

    def takes_back(pixels: tf.Tensor) -> tf.Tensor:
        return network(pixels - np.float32(shift))

    shifted = np.clip(lowered + np.float32(shift), 0, 1)
    after = method(as_classifier(takes_back, output="logits"), shifted, before.target)
    change = np.abs(after.map - before.map).sum(axis=(1, 2), dtype=np.float64)
    size = np.abs(before.map).sum(axis=(1, 2), dtype=np.float64)
    return np.where(change > 0, np.where(size > 0, change / np.where(size > 0, size, 1), np.inf), 0)
