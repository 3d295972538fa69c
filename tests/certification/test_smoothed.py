"""Attacks on the smoothed network, and the vote that judges them."""

import numpy as np
import pytest
import tensorflow as tf

from tfrobust.attacks import PGD, L2Min, LinearizedMargin
from tfrobust.certification import Certificate, Smoothed, certify, voted_sizes
from tfrobust.certification.sampling import draw_seed, noise
from tfrobust.core.ara import area
from tfrobust.errors import InputError

SHAPE = (4, 4, 1)
SIGMA = 0.25
# Those of the fixture `binary`.
IMAGES = np.random.default_rng(0).uniform(0, 1, (40, *SHAPE)).astype(np.float32)


@pytest.fixture(scope="module")
def certificate(curved) -> Certificate:
    return certify(*curved, sigma=SIGMA, progress=False)


def test_smoothed_is_the_mean_of_probabilities(curved) -> None:
    network, images, _ = curved
    model = Smoothed(network, sigma=SIGMA, draws=5, seed=7)
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
    model = Smoothed(network, sigma=SIGMA, draws=8)
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
        pytest.param(L2Min(steps=80, path=4.0, batch_size=6), marks=pytest.mark.slow),
        pytest.param(PGD(rounds=6, batch_size=6), marks=pytest.mark.slow),
    ],
    ids=lambda attack: type(attack).__name__,
)
def test_certified_area_is_below_the_attacked_one(curved, certificate, attack) -> None:
    network, images, labels = curved
    found = certificate
    attacked = attack(Smoothed(network, sigma=SIGMA, draws=16), images, labels)
    sizes = voted_sizes(network, images, labels, attacked.adversarials, sigma=SIGMA, progress=False)
    assert found.accuracy > 0.8 and np.isfinite(sizes).mean() > 0.8
    # A radius and a size are each wrong with probability .001.
    assert np.all(found.rmse <= sizes)
    assert found.ara.value <= area(sizes, 3)
    assert found.ara.value <= area(attacked.rmse, 3)
    # The certificate is no empty one, and the attack no blind one.
    assert np.median(sizes) < 3 * np.median(found.rmse)


@pytest.mark.slow
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


def test_refusals(binary) -> None:
    network, labels, _ = binary
    for settings in ({"sigma": 0.0}, {"draws": 0}, {"seed": -1}):
        with pytest.raises(InputError, match="sigma above 0, at least 1 draw"):
            Smoothed(network, **settings)
    with pytest.raises(InputError, match="attacked images of shape"):
        voted_sizes(network, IMAGES[:2], labels[:2], IMAGES[:3], progress=False)
    with pytest.raises(InputError, match="chance would explain"):
        voted_sizes(network, IMAGES[:2], labels[:2], IMAGES[:2], n=12, progress=False)
