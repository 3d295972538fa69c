"""Maps of another class."""

import numpy as np
from scipy.stats import spearmanr

from tfrobust.explanations import VanillaGradients
from tfrobust.metrics import RandomLogit

IMAGES = np.random.default_rng(1).random((4, 8, 8, 1), np.float32)
WEIGHTS = np.random.default_rng(1).normal(size=(64, 3)).astype(np.float32)


def test_on_a_linear_network(linear) -> None:
    """The map of a class is |w| of that class, whatever the image."""
    targets = np.array([0, 1, 2, 0])
    found = RandomLogit(seed=4)(linear, VanillaGradients(), IMAGES, targets)
    others = (targets + np.random.default_rng(4).integers(1, 3, 4)) % 3
    assert (others != targets).all()
    by_hand = [
        spearmanr(*np.abs(WEIGHTS[:, pair]).T).statistic
        for pair in zip(targets, others, strict=True)
    ]
    np.testing.assert_allclose(found, by_hand, atol=1e-6)


def test_no_images(linear) -> None:
    assert RandomLogit()(linear, VanillaGradients(), IMAGES[:0]).shape == (0,)
