"""Randomized smoothing against its closed form on linear networks, and against attacks."""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from tfrobust.attacks import PGD, L2Min, LinearizedMargin
from tfrobust.certification.certificate import certified_radius, probability_above
from tfrobust.certification.sampling import MOST_VALUES, draw_seed, noise, portion
from tfrobust.certification.smoothing import Certificate, certify, smoothed, voted_sizes
from tfrobust.core.ara import accuracy_robustness_area, area
from tfrobust.errors import InputError

SHAPE = (4, 4, 1)
SIGMA = 0.25
IMAGES = np.random.default_rng(0).uniform(0, 1, (40, *SHAPE)).astype(np.float32)


def linear(weights: np.ndarray, bias: np.ndarray) -> keras.Model:
    network = keras.Sequential(
        [keras.Input(SHAPE), keras.layers.Flatten(), keras.layers.Dense(len(bias))], name="linear"
    )
    network.set_weights([weights, bias])
    return network


@pytest.fixture(scope="module")
def binary() -> tuple[keras.Model, np.ndarray, np.ndarray]:
    """A linear network of two classes, its labels, and the exact radius of its smoothed one."""
    weights = np.random.default_rng(1).normal(0, 1, (16, 2)).astype(np.float32)
    bias = -weights.T @ np.full(16, 0.5, np.float32)
    network = linear(weights, bias)
    logits = IMAGES.reshape(len(IMAGES), -1) @ weights + bias
    margin = np.abs(logits[:, 0] - logits[:, 1])
    return network, logits.argmax(axis=1), margin / np.linalg.norm(weights[:, 0] - weights[:, 1])


@pytest.fixture(scope="module")
def curved() -> tuple[keras.Model, np.ndarray, np.ndarray]:
    """A small network trained on noise, twelve test images and their labels."""
    rng = np.random.default_rng(2)
    centres = rng.uniform(0.2, 0.8, (3, 16))
    labels = rng.integers(3, size=600)
    images = np.clip(centres[labels] + rng.normal(0, 0.1, (600, 16)), 0, 1)
    images = images.reshape(-1, *SHAPE).astype(np.float32)
    keras.utils.set_random_seed(0)
    network = keras.Sequential(
        [
            keras.Input(SHAPE),
            keras.layers.GaussianNoise(0.25),
            keras.layers.Flatten(),
            keras.layers.Dense(32, "tanh"),
            keras.layers.Dense(3),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    network.compile(keras.optimizers.Adam(0.01), loss)
    network.fit(images[:500], labels[:500], epochs=8, verbose=0)
    return network, images[500:512], labels[500:512]


@pytest.fixture(scope="module")
def certificate(curved) -> Certificate:
    return certify(*curved, sigma=SIGMA, progress=False)


# The statistics, by hand.


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


# The certificate.


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


def test_abstains_on_the_boundary() -> None:
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


def test_votes_sum_to_the_draws_asked_for() -> None:
    """250 draws are two portions and a half; each class of a blank network is equally likely."""
    weights = np.random.default_rng(5).normal(0, 1, (16, 2)).astype(np.float32)
    network = linear(weights, -weights.T @ np.full(16, 0.5, np.float32))
    image = np.full((1, *SHAPE), 0.5, np.float32)
    votes = [
        certify(network, image, [0], n0=1, n=250, seed=s, progress=False).votes for s in range(20)
    ]
    mean = np.mean([min(v[0], 250 - v[0]) for v in votes])
    assert 110 < mean < 125


def test_draws_are_normal_and_differ_by_image_use_and_portion() -> None:
    seen = [
        noise((2000,), draw_seed(*key)).numpy()
        for key in [(0, 0, 0, 0), (1, 0, 0, 0), (0, 1, 0, 0), (0, 0, 1, 0), (0, 0, 0, 1)]
    ]
    for one in seen:
        assert stats.kstest(one, "norm").pvalue > 1e-3
    correlation = np.corrcoef(seen) - np.eye(5)
    assert np.abs(correlation).max() < 0.1
    np.testing.assert_array_equal(noise((2000,), draw_seed(0, 0, 0, 0)), seen[0])


def test_large_images_come_in_smaller_portions() -> None:
    assert portion((28, 28, 1)) == 100
    assert portion((224, 224, 3)) * 224 * 224 * 3 <= MOST_VALUES
    assert portion((2000, 2000, 3)) == 1


def test_a_record_that_goes_through_json(binary, tmp_path) -> None:
    network, labels, _ = binary
    found = certify(network, IMAGES[:5], labels[:5], n=1000, progress=False)
    found.to_json(tmp_path / "certificate.json")
    back = Certificate.from_json(tmp_path / "certificate.json")
    assert str(back) == str(found)
    np.testing.assert_array_equal(back.l2, found.l2)
    assert back.predicted.dtype == found.predicted.dtype and back.ara == found.ara
    line = str(found)
    assert "\n" not in line
    assert line.startswith(f"certified ARA of the smoothed network {found.ara.value:.4f} [")
    assert (
        "σ = 0.25, n = 1,000, α = 0.001, randomized smoothing; not a bound on the network" in line
    )


def test_shows_a_rate(binary, capsys) -> None:
    network, labels, _ = binary
    certify(network, IMAGES[:2], labels[:2], n=100)
    assert "certifying" in (bar := capsys.readouterr().err) and "draw/s" in bar


# The smoothed network as attacks have it.


def test_smoothed_is_the_mean_of_probabilities(curved) -> None:
    network, images, _ = curved
    model = smoothed(network, SIGMA, draws=5, seed=7)
    added = noise((5, *SHAPE), draw_seed(7, 3, 0, 0)).numpy()
    by_hand = np.mean(
        [tf.nn.softmax(network(images + np.float32(SIGMA) * one)).numpy() for one in added], axis=0
    )
    np.testing.assert_allclose(np.exp(model(tf.constant(images))), by_hand, atol=1e-6)
    # An image's answer does not depend on its place in a batch but for rounding.
    np.testing.assert_allclose(model(tf.constant(images[3:5])), model(images)[3:5], atol=1e-5)
    assert "smoothed (σ = 0.25)" in model.name and model.output_shape == (None, 3)


def test_smoothed_has_the_gradient_of_its_differences(curved) -> None:
    network, images, labels = curved
    model = smoothed(network, SIGMA, draws=8)
    image = tf.constant(images[:1])
    with tf.GradientTape() as tape:
        tape.watch(image)
        value = model(image)[0, int(labels[0])]
    gradient = tape.gradient(value, image).numpy().ravel()
    step = np.eye(16, dtype=np.float32).reshape(16, *SHAPE) * 0.01
    values = [model(image + sign * step).numpy()[:, int(labels[0])] for sign in (1, -1)]
    np.testing.assert_allclose(gradient, (values[0] - values[1]) / 0.02, atol=2e-3)


@pytest.mark.parametrize(
    "attack",
    [
        LinearizedMargin(steps=15, batch_size=6),
        L2Min(steps=80, path=4.0, batch_size=6),
        PGD(rounds=6, batch_size=6),
    ],
    ids=lambda attack: type(attack).__name__,
)
def test_certified_area_is_below_the_attacked_one(curved, certificate, attack) -> None:
    network, images, labels = curved
    found = certificate
    attacked = attack(smoothed(network, SIGMA, draws=16), images, labels)
    sizes = voted_sizes(network, images, labels, attacked.adversarials, sigma=SIGMA, progress=False)
    assert found.accuracy > 0.8 and np.isfinite(sizes).mean() > 0.8
    # A radius and a size are each wrong with probability .001.
    assert np.all(found.rmse <= sizes)
    assert found.ara.value <= area(sizes, 3)
    assert found.ara.value <= area(attacked.rmse, 3)
    # The certificate is no empty one, and the attack no blind one.
    assert np.median(sizes) < 3 * np.median(found.rmse)


def test_voted_sizes_against_the_closed_form(binary) -> None:
    network, labels, truth = binary
    some = np.argsort(truth)[5:15]
    attacked = LinearizedMargin(steps=5, batch_size=10)(network, IMAGES[some], labels[some])
    sizes = voted_sizes(
        network, IMAGES[some], labels[some], attacked.adversarials, sigma=SIGMA, progress=False
    )
    # Beyond the boundary, where the vote is more than chance: 3.9 standard errors of a share of
    # 1,000 draws, and 3 more by bad luck, are a share of .61 and so .28σ in L2.
    assert np.all(sizes >= truth[some] / 4)
    np.testing.assert_allclose(sizes, truth[some] / 4, atol=SIGMA * 0.28 / 4)


def test_voted_sizes_of_wrong_and_unmoved_images(binary) -> None:
    network, labels, truth = binary
    clear = np.argsort(truth)[-2:]
    wrong = voted_sizes(
        network, IMAGES[clear], 1 - labels[clear], IMAGES[clear], n=100, progress=False
    )
    assert wrong.tolist() == [0, 0]
    unmoved = voted_sizes(
        network, IMAGES[clear], labels[clear], IMAGES[clear], n=100, progress=False
    )
    assert np.isinf(unmoved).all()


# Refusals.


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


def test_refusals_of_the_attacks_side(binary) -> None:
    network, labels, _ = binary
    for settings_ in ((0.0, 4, 0), (0.25, 0, 0), (0.25, 4, -1)):
        with pytest.raises(InputError, match="sigma above 0, at least 1 draw"):
            smoothed(network, *settings_)
    with pytest.raises(InputError, match="attacked images of shape"):
        voted_sizes(network, IMAGES[:2], labels[:2], IMAGES[:3], progress=False)
    with pytest.raises(InputError, match="chance would explain"):
        voted_sizes(network, IMAGES[:2], labels[:2], IMAGES[:2], n=12, progress=False)


def test_logits_that_are_not_finite(binary) -> None:
    network = linear(np.full((16, 2), np.nan, np.float32), np.zeros(2, np.float32))
    with pytest.raises(InputError, match="finite logits"):
        certify(network, IMAGES[:1], [0], n=100, progress=False)
