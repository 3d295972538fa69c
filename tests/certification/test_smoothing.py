"""Randomized smoothing against its closed form on linear networks."""

import math

import numpy as np
import pytest
from scipy import stats

from tfrobust.certification import certify
from tfrobust.core.ara import accuracy_robustness_area, area
from tfrobust.errors import InputError

SHAPE = (4, 4, 1)
SIGMA = 0.25
# Those of the fixture `binary`.
IMAGES = np.random.default_rng(0).uniform(0, 1, (40, *SHAPE)).astype(np.float32)


def test_linear_network_against_the_closed_form(binary) -> None:
    network, labels, truth = binary
    alpha = 0.05
    found = certify(network, IMAGES, labels, sigma=SIGMA, n=2000, alpha=alpha, progress=False)
    # The smoothed network is right with probability Φ(margin/(σ|w|)), so this is its exact radius.
    wrong = int((found.l2 > truth).sum())
    assert wrong <= stats.binom.ppf(0.9999, len(truth), alpha)
    by_hand = SIGMA * stats.norm.ppf(stats.beta.ppf(alpha, found.votes, 2001 - found.votes))
    np.testing.assert_allclose(found.l2, np.maximum(by_hand, 0), rtol=1e-9)
    # Counts are binomial about the exact probability, of the label or, close to the boundary,
    # of the other class: within 4.5 standard deviations.
    p = stats.norm.cdf(truth / SIGMA)
    off = np.minimum(np.abs(found.votes - 2000 * p), np.abs(2000 - found.votes - 2000 * p))
    assert np.all(off <= 4.5 * np.sqrt(2000 * p * (1 - p)))
    np.testing.assert_allclose(found.rmse, found.l2 / 4)
    assert found.ara == accuracy_robustness_area(found.rmse, 2)
    assert found.ara.value <= area(truth / 4, 2)
    assert found.accuracy == np.mean(found.l2 > 0)
    assert found.abstained == np.sum(found.predicted == -1)


def test_more_draws_come_nearer_to_the_exact_radius(binary) -> None:
    network, labels, truth = binary
    clear = np.argsort(truth)[10:14]
    gaps = []
    for n in (100, 1000, 10_000):
        found = certify(network, IMAGES[clear], labels[clear], sigma=SIGMA, n=n, progress=False)
        gaps.append(np.abs(found.l2 - truth[clear]).mean())
    assert gaps[0] > gaps[1] > gaps[2]
    assert gaps[2] < 0.02


def test_wrong_labels_have_radius_0(binary) -> None:
    network, labels, _ = binary
    found = certify(network, IMAGES[:6], 1 - labels[:6], n=100, progress=False)
    assert not found.l2.any() and found.accuracy == 0
    assert found.ara.value == 0
    assert set(found.predicted) <= {-1, *labels[:6]}


def test_abstains_on_the_boundary(linear) -> None:
    weights = np.zeros((16, 2), np.float32)
    weights[0] = [1, -1]
    network = linear(weights, np.array([-0.5, 0.5], np.float32))
    images = np.full((3, *SHAPE), 0.5, np.float32)
    found = certify(network, images, [0, 0, 1], n=1000, progress=False)
    assert found.abstained == 3 and found.predicted.tolist() == [-1] * 3
    assert not found.l2.any()


def test_the_same_in_shards_and_again(binary) -> None:
    network, labels, _ = binary
    whole = certify(network, IMAGES[:7], labels[:7], n=130, n0=10, seed=3, progress=False)
    parts = [
        certify(
            network,
            IMAGES[rows],
            labels[rows],
            n=130,
            n0=10,
            seed=3,
            numbers=np.arange(7)[rows],
            progress=False,
        )
        for rows in (slice(3, 7), slice(0, 3))
    ]
    assert [*parts[1].votes, *parts[0].votes] == whole.votes.tolist()
    assert [*parts[1].predicted, *parts[0].predicted] == whole.predicted.tolist()
    other = certify(network, IMAGES[:7], labels[:7], n=130, n0=10, seed=4, progress=False)
    assert other.votes.tolist() != whole.votes.tolist()


def test_shows_a_rate(binary, capsys) -> None:
    network, labels, _ = binary
    certify(network, IMAGES[:2], labels[:2], n=100)
    assert "certifying" in (bar := capsys.readouterr().err) and "draw/s" in bar


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"sigma": 0.0}, "sigma above 0"),
        ({"sigma": math.nan}, "sigma above 0"),
        ({"alpha": 0.0}, "alpha between 0 and 1"),
        ({"alpha": 1.0}, "alpha between 0 and 1"),
        ({"n": 0}, "at least 1 draw"),
        ({"n0": 0}, "at least 1 draw"),
        ({"n": 9}, "at least 10 draws"),
        ({"seed": -1}, "seed of 0 or above"),
        ({"labels": [0]}, "2 labels"),
        ({"labels": [0, 2]}, "labels below 2"),
        ({"labels": [0.0, 1.0]}, "whole numbers"),
        ({"images": IMAGES[:2] * 255}, "pixels from 0 to 1"),
        ({"images": IMAGES[:2, :, :, 0]}, r"\(N, H, W, C\), got \(2, 4, 4\)"),
        ({"images": IMAGES[:0], "labels": np.zeros(0, int)}, "at least one image"),
        ({"images": np.zeros((2, 5, 5, 1), np.float32)}, r"shape \(None, 4, 4, 1\)"),
        ({"numbers": [0]}, "2 numbers of images"),
        ({"numbers": [0, -1]}, "2 numbers of images"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_refusals(binary, changes, words: str) -> None:
    given_ = {"images": IMAGES[:2], "labels": [0, 1], **changes}
    with pytest.raises(InputError, match=words):
        certify(binary[0], given_.pop("images"), given_.pop("labels"), progress=False, **given_)


def test_just_enough_draws(binary) -> None:
    """Ten draws that agree are worth .001^.1 = .501."""
    network, labels, truth = binary
    clear = np.argsort(truth)[-1:]
    found = certify(network, IMAGES[clear], labels[clear], n=10, sigma=0.01, progress=False)
    assert 0 < found.l2[0] == pytest.approx(0.01 * stats.norm.ppf(0.001**0.1))
