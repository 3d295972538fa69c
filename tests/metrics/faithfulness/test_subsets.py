"""Subsets of pixels on a linear network: exact attributions foretell every fall."""

import numpy as np
import pytest

from tfrobust.errors import InputError
from tfrobust.metrics import FaithfulnessCorrelation, SensitivityN


def test_exact_attributions_correlate_fully(linear) -> None:
    maps = linear.attributions(0.2)
    options = {"fill": 0.2, "score": "logit", "draws": 30}
    # Falls are differences of float32 logits of size 3: their rounding is about 1e-6.
    found = FaithfulnessCorrelation(**options)(linear, linear.images, linear.classes, maps)
    np.testing.assert_allclose(found, 1, atol=1e-6)
    np.testing.assert_allclose(
        FaithfulnessCorrelation(**options)(linear, linear.images, linear.classes, -3 * maps),
        -1,
        atol=1e-6,
    )
    measure = SensitivityN(shares=(0.1, 0.5), **options)
    several = measure(linear, linear.images, linear.classes, maps)
    assert several.shape == (2, 3)
    np.testing.assert_allclose(several, 1, atol=1e-6)


def test_a_subset_of_one_pixel_by_hand(linear) -> None:
    """Another map's correlation, worked out from the same draws."""
    maps = np.random.default_rng(1).normal(size=(3, 4, 4))
    measure = FaithfulnessCorrelation(share=0.01, draws=12, fill=0.7, score="logit", seed=9)
    found = measure(linear, linear.images, linear.classes, maps)
    rng = np.random.default_rng(9)
    drawn = [rng.choice(16, 1, replace=False)[0] for _ in range(12)]
    falls = linear.attributions(0.7).reshape(3, 16)[:, drawn]
    sums = maps.reshape(3, 16)[:, drawn]
    by_hand = [np.corrcoef(*pair)[0, 1] for pair in zip(sums, falls, strict=True)]
    np.testing.assert_allclose(found, by_hand, atol=1e-5)


def test_a_map_of_one_value_says_nothing(linear) -> None:
    found = FaithfulnessCorrelation(draws=5)(linear, linear.images, None, np.full((3, 4, 4), 0.1))
    np.testing.assert_array_equal(found, 0)
    none = SensitivityN(draws=3)(linear, linear.images[:0], None, np.zeros((0, 4, 4)))
    assert none.shape == (4, 0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"draws": 1}, r"at least 2 draws and shares above 0 and below 1, got 1, \(0.1,\)"),
        ({"share": 1.0}, r"below 1, got 100, \(1.0,\)"),
        ({"fill": -0.1}, "fill from 0 to 1, got -0.1"),
        ({"score": "margin"}, "score of 'confidence' or 'logit', got 'margin'"),
    ],
)
def test_refuses(options: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        FaithfulnessCorrelation(**options)


def test_refuses_maps(linear) -> None:
    with pytest.raises(InputError, match=r"maps of shape \(3, 4, 4\), got \(3, 4, 4, 2\)"):
        FaithfulnessCorrelation()(linear, linear.images, None, linear.gradient)
    with pytest.raises(InputError, match="maps of finite numbers"):
        FaithfulnessCorrelation()(linear, linear.images, None, np.full((3, 4, 4), np.nan))
