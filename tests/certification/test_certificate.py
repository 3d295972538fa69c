"""The statistics behind a certificate, by hand, and the record's file."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from tfrobust.certification import Certificate
from tfrobust.certification.certificate import certified_radius, probability_above
from tfrobust.robustness import AraReport


@pytest.mark.parametrize(("hits", "draws"), [(0, 10), (1, 1), (7, 10), (990, 1000), (1000, 1000)])
@pytest.mark.parametrize("alpha", [0.001, 0.05])
def test_clopper_pearson_against_scipy_and_its_definition(
    hits: int, draws: int, alpha: float
) -> None:
    lower = float(probability_above(hits, draws, alpha))
    exact = stats.binomtest(hits, draws, alternative="greater").proportion_ci(1 - alpha, "exact")
    assert lower == pytest.approx(exact.low, abs=1e-12)
    if hits:
        assert lower == pytest.approx(stats.beta.ppf(alpha, hits, draws - hits + 1), rel=1e-12)
        # The limit is the probability for which so many hits, or more, have probability α.
        tail = sum(
            math.comb(draws, k) * lower**k * (1 - lower) ** (draws - k)
            for k in range(hits, draws + 1)
        )
        assert tail == pytest.approx(alpha, rel=1e-6)


def test_radius_by_hand() -> None:
    # 99 of 100 at α = .001: p ≥ .9105..., of which the normal quantile times σ is the radius.
    p = stats.beta.ppf(0.001, 99, 2)
    radius = certified_radius([99, 50, 0], 100, sigma=0.5, alpha=0.001)
    assert radius.tolist() == pytest.approx([0.5 * stats.norm.ppf(p), 0, 0], rel=1e-12)


@settings(max_examples=200, deadline=None)
@given(
    st.integers(1, 10**6),
    st.floats(0, 1),
    st.floats(1e-6, 0.999),
    st.floats(1e-3, 10),
)
def test_no_radius_above_what_so_many_draws_can_certify(
    draws: int, share: float, alpha: float, sigma: float
) -> None:
    hits = round(share * draws)
    radius = float(certified_radius(hits, draws, sigma=sigma, alpha=alpha))
    most = float(sigma * max(0.0, stats.norm.ppf(alpha ** (1 / draws))))
    assert 0 <= radius <= most * (1 + 1e-9) + 1e-12
    # Another hit never certifies less, and the share itself is more than is certain.
    assert radius <= certified_radius(min(hits + 1, draws), draws, sigma=sigma, alpha=alpha) + 1e-12
    if alpha <= 0.5:
        assert probability_above(hits, draws, alpha) <= hits / draws + 1e-12


def test_the_limit_holds_as_often_as_it_says() -> None:
    hits = np.random.default_rng(0).binomial(200, 0.8, 20_000)
    wrong = float((probability_above(hits, 200, 0.05) > 0.8).mean())
    assert wrong <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 20_000)


def test_there_and_back_and_in_words(full_report: AraReport, tmp_path) -> None:
    found = full_report.certificate
    assert found is not None
    found.to_json(tmp_path / "certificate.json")
    back = Certificate.from_json(tmp_path / "certificate.json")
    assert str(back) == str(found)
    np.testing.assert_array_equal(back.l2, found.l2)
    assert back.predicted.dtype == found.predicted.dtype and back.ara == found.ara
    line = str(found)
    assert "\n" not in line
    assert line.startswith(f"certified ARA of the smoothed network {found.ara.value:.4f} [")
    assert "σ = 0.25, n = 100, α = 0.001, randomized smoothing; not a bound on the network" in line
