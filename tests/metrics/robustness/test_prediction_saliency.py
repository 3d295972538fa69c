"""Prediction–saliency correlation: Pearson's by hand, and methods that must score high and low."""

import dataclasses
from typing import ClassVar

import numpy as np
import pytest

from tfrobust.errors import InputError
from tfrobust.explanations.base import MapMethod
from tfrobust.explanations.targets import confidence
from tfrobust.metrics import PredictionSaliencyCorrelation
from tfrobust.metrics.robustness.prediction_saliency import (
    Changes,
    pooled,
    structural_similarity,
)

rng = np.random.default_rng(7)
IMAGES = rng.uniform(0.2, 0.8, (6, 8, 8, 1)).astype(np.float32)
PATTERNS = rng.uniform(size=(2, 8, 8, 1)).astype(np.float32)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Follows(MapMethod):
    """Its map is a mixture of two pictures by the target's confidence, or always one of them."""

    name: ClassVar[str] = "follows"
    share: float = 1.0

    def attribution(self, model, images, targets):
        mixed = self.share * confidence(model(images), targets)[:, None, None, None]
        return mixed * PATTERNS[0] + (1 - mixed) * PATTERNS[1]


def test_pooled_is_pearsons_over_both_neighbours() -> None:
    one, other = (Changes(*rng.uniform(size=(2, 40))) for _ in range(2))
    found = pooled(one, other)
    pairs = [np.concatenate([first, second]) for first, second in zip(one, other, strict=True)]
    assert found.value == pytest.approx(np.corrcoef(*pairs)[0, 1])
    assert found.low < found.value < found.high
    still = Changes(np.zeros(40), np.zeros(40))
    assert pooled(still, still) == (0, 0, 0)


def test_structural_similarity_of_equal_opposite_and_flat_maps() -> None:
    maps = rng.uniform(size=(2, 8, 8))
    np.testing.assert_allclose(structural_similarity(maps, 3 * maps - 1), 1, atol=1e-5)
    assert (structural_similarity(maps, -maps) < 0).all()
    assert np.isfinite(structural_similarity(maps, np.zeros_like(maps))).all()


@pytest.mark.slow
def test_a_map_of_the_prediction_scores_high_and_one_of_nothing_zero(network) -> None:
    measure = PredictionSaliencyCorrelation(rho=0.15, steps=15)
    good = measure(network, Follows(), IMAGES)
    assert good.sensitivity.value > 0.5 and good.robustness.value > 0.5
    blind = measure(network, Follows(share=0.0), IMAGES)
    assert blind.sensitivity.value == 0 == blind.robustness.value
    for changes in (good.noise, good.misled, good.hidden, good.distorted):
        assert (changes.prediction >= 0).all() and (changes.prediction <= 1).all()


def test_refuses(network) -> None:
    with pytest.raises(InputError, match=r"got 0\.0, 30"):
        PredictionSaliencyCorrelation(rho=0.0)
    with pytest.raises(InputError, match="at least one image"):
        PredictionSaliencyCorrelation()(network, Follows(), IMAGES[:0])
