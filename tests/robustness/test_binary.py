"""A network of two classes and its twin of one logit: they are the same network."""

import keras
import numpy as np
import pytest

import tfrobust
from tfrobust.attacks import LinearizedMargin
from tfrobust.core.classifier import Classifier

IMAGES = np.random.default_rng(4).random((10, 5, 5, 1), np.float32)


@pytest.fixture(scope="module")
def twins() -> list[Classifier]:
    """One ends in two logits, one in their difference, one in the sigmoid of it."""
    keras.utils.set_random_seed(2)
    layers = keras.layers
    images = keras.Input((5, 5, 1))
    features = layers.Conv2D(3, 3, activation="softplus")(images)
    flat = layers.Flatten()(features)
    two = layers.Dense(2)
    made = [tfrobust.as_classifier(keras.Model(images, two(flat)))]
    kernel, bias = two.get_weights()
    for activation in (None, "sigmoid"):
        one = layers.Dense(1, activation=activation)
        network = keras.Model(images, one(flat))
        one.set_weights([kernel[:, 1:] - kernel[:, :1], bias[1:] - bias[:1]])
        made.append(tfrobust.as_classifier(network, output=activation or "logits"))
    return made


@pytest.mark.slow
def test_equal_areas(twins) -> None:
    labels = twins[0](IMAGES).numpy().argmax(axis=1)
    labels[:2] = 1 - labels[:2]  # two images are classified wrongly
    attacks = [LinearizedMargin(steps=24, rivals=2)]
    reports = [
        tfrobust.evaluate(twin, IMAGES, labels, attacks=attacks, progress=False) for twin in twins
    ]
    first = reports[0]
    assert first.attack_ara.value > 0
    for other in reports[1:]:
        assert other.clean_accuracy == first.clean_accuracy
        for goal in ("attack_ara", "btr_ara"):
            one, two = getattr(first, goal), getattr(other, goal)
            for end in ("value", "low", "high"):
                assert getattr(one, end) == pytest.approx(getattr(two, end), abs=1e-6)


def test_equal_explanations(twins) -> None:
    for target, direction in ((1, 1), (0, -1), (-1, 1)):
        first, *others = (
            tfrobust.explain(twin, IMAGES, target, rho=0.05, direction=direction) for twin in twins
        )
        for other in others:
            # Float32 rounds the difference of two logits otherwise than one logit.
            np.testing.assert_allclose(other.explanation, first.explanation, atol=1e-5)
            np.testing.assert_allclose(other.confidence_after, first.confidence_after, atol=1e-5)
            np.testing.assert_array_equal(other.target, first.target)
