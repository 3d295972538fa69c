"""A label's decision turned: on linear networks the smallest size is known."""

import numpy as np
import pytest
import tensorflow as tf
from marks import quick

import tfrobust
from tfrobust.attacks import DDN, FMN, LabelFlip, LinearizedMargin, Misclassified, Transfer
from tfrobust.errors import InputError

RNG = np.random.default_rng(3)
WEIGHTS = RNG.normal(size=(16, 3)).astype(np.float32)
IMAGES = RNG.random((6, 4, 4, 1), np.float32)
LOGITS = (IMAGES.reshape(6, 16) - 0.5) @ WEIGHTS
TRUTH = (LOGITS > 0).astype(int)


def model(images: tf.Tensor) -> tf.Tensor:
    return (tf.reshape(images, (-1, 16)) - 0.5) @ WEIGHTS


@pytest.fixture(scope="module")
def network() -> tfrobust.core.Classifier:
    return tfrobust.as_labels(model, output="logits")


@pytest.mark.parametrize(
    ("attack", "slack"),
    # Each ends a little beyond the plane: by its last bisection, or by its last step.
    [(LinearizedMargin(), 0.005), (DDN(steps=200), 0.02), (FMN(steps=200), 0.02)],
    ids=repr,
)
@pytest.mark.parametrize("threshold", quick([0.5, 0.8], 0.8))
def test_the_distance_to_the_plane(network, attack, slack: float, threshold: float) -> None:
    plane = np.log(threshold / (1 - threshold))
    for label in (0, 2):
        found = attack(network, IMAGES, TRUTH, LabelFlip(label, threshold))
        holds = LOGITS[:, label] > plane
        away = np.abs(LOGITS[:, label] - plane) / np.linalg.norm(WEIGHTS[:, label])
        # Where the decision is wrong at this threshold, nothing needs to change.
        exact = np.where(holds == TRUTH[:, label], away, 0) / np.sqrt(16)
        assert found.found.all()
        assert (found.rmse >= exact * (1 - 1e-5)).all()
        np.testing.assert_allclose(found.rmse, exact, rtol=slack)


def test_all_labels_share_one_program() -> None:
    assert LabelFlip(np.int64(2)) == LabelFlip(2) != LabelFlip(0)
    assert LabelFlip(2).static() == LabelFlip(0) != LabelFlip(0, 0.7)


def test_no_images() -> None:
    """Nor a number of labels, which the network was never asked for."""
    never_asked = tfrobust.as_labels(lambda images: model(images), output="logits")
    found = LinearizedMargin()(never_asked, IMAGES[:0], TRUTH[:0], LabelFlip(2))
    assert found.rmse.shape == (0,)


def test_a_surrogate_tells_two_classes_apart(network) -> None:
    one = tfrobust.as_classifier(network, label=1)
    transfer = Transfer(surrogate=one)
    with pytest.raises(InputError, match=r"criterion about classes, .* got LabelFlip"):
        transfer(network, IMAGES, TRUTH, LabelFlip(1))
    exact = np.abs(LOGITS[:, 1]) / np.linalg.norm(WEIGHTS[:, 1]) / 4
    np.testing.assert_allclose(transfer(one, IMAGES, TRUTH[:, 1]).rmse, exact, rtol=5e-3)


def test_refuses(network) -> None:
    attack = LinearizedMargin()
    with pytest.raises(InputError, match=r"labels of shape \(6, 3\), .* got \(6,\)"):
        attack(network, IMAGES, TRUTH[:, 0], LabelFlip(0))
    with pytest.raises(InputError, match="labels of 0 and 1 only"):
        attack(network, IMAGES, 2 * TRUTH, LabelFlip(0))
    with pytest.raises(InputError, match=r"label below 3, .* got 3"):
        attack(network, IMAGES, TRUTH, LabelFlip(3))
    with pytest.raises(InputError, match=r"labels that may hold together"):
        attack(network, IMAGES, TRUTH[:, 0], Misclassified())
    with pytest.raises(InputError, match=r"number from 0, got True"):
        LabelFlip(True)
    with pytest.raises(InputError, match=r"threshold between 0 and 1, got 1"):
        LabelFlip(0, 1)
