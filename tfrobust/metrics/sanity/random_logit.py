"""Another class: a map that stays the same tells nothing of the class that it explains."""

from typing import Any

import numpy as np

from tfrobust.core.classifier import Model
from tfrobust.errors import InputError
from tfrobust.explanations.base import Method
from tfrobust.explanations.explanation import Explanation
from tfrobust.explanations.targets import question
from tfrobust.metrics.similarity import rank_correlation


def random_logit(
    model: Model,
    method: Method,
    images: Any,
    targets: Any = None,
    *,
    seed: int = 0,
    before: Explanation | None = None,
) -> np.ndarray:
    """How alike a method's maps of the target and of another class are.

    Args:
        model: what `as_classifier` takes.
        method: what makes the maps.
        images: float (N, H, W, C) in [0, 1].
        targets: int (N,) or a single int; None or −1 for the predicted class.
        seed: of the other classes, drawn for each image.
        before: the method's explanation of the targets, where that is known.

    Returns:
        float64 (N,), Spearman's correlation. Near 1, the map does not depend on the class.

    Raises:
        InputError: a network of one class, or what the method refuses.

    Source: Sixt et al., arXiv 1912.09818, section 3.
    """
    network, images, targets = question(model, images, targets)
    before = before or method(network, images, targets)
    if not len(images):
        return np.zeros(0)
    count = network.check(images)
    if count < 2:
        raise InputError("expected a network of at least two classes, got one class")
    steps = np.random.default_rng(seed).integers(1, count, len(images))
    after = method(network, images, (before.target + steps) % count)
    return rank_correlation(before.map, after.map)
