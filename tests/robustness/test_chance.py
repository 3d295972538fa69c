"""A network that is no better than a guess, and the likely reasons."""

import re

import keras
import numpy as np
import pytest

from tfrobust.robustness.chance import at_chance
from tfrobust.robustness.evaluate import evaluate

CLASSES = 5
LABELS = np.arange(200) % CLASSES


def logits_of(classes: np.ndarray, wrong: float = 0.1) -> np.ndarray:
    """Logits of a network that gives these classes, and others for a share of images."""
    noise = np.random.default_rng(0)
    others = noise.integers(0, CLASSES, len(classes))
    given = np.where(noise.random(len(classes)) < wrong, others, classes)
    return np.eye(CLASSES, dtype=np.float32)[given]


def test_a_good_network_is_not_complained_about() -> None:
    assert at_chance(logits_of(LABELS), LABELS) is None
    # Nor is a weak one.
    assert at_chance(logits_of(LABELS, wrong=0.85), LABELS) is None


def test_a_few_images_say_nothing() -> None:
    assert at_chance(logits_of((LABELS[:19] + 1) % CLASSES), LABELS[:19]) is None


@pytest.mark.parametrize(
    ("classes", "said"),
    [
        (np.clip(LABELS + 1, 0, CLASSES - 1), r"for \d\d% if each label were \+1\."),
        (np.clip(LABELS - 1, 0, CLASSES - 1), r"for \d\d% if each label were -1\."),
        (np.array([2, 4, 1, 0, 3])[LABELS], r"for 9\d% with its classes in another order\."),
        (np.zeros(200, int), r"a guess among 5 classes is\. Likely reasons: labels .* from 1"),
    ],
)
def test_the_reason_is_told(classes: np.ndarray, said: str) -> None:
    reason = at_chance(logits_of(classes), LABELS)
    assert reason is not None
    assert re.search(said, reason)


def test_two_classes_are_in_another_order() -> None:
    labels = np.repeat([0, 1], [45, 5])
    reason = at_chance(np.eye(2, dtype=np.float32)[1 - labels], labels)
    assert "for 100% with its classes in another order" in (reason or "")


def test_it_is_told_at_the_start_and_in_the_report() -> None:
    network = keras.Sequential([keras.Input((1, 2, 1)), keras.layers.Flatten()])
    images = np.random.default_rng(0).random((30, 1, 2, 1), np.float32)
    swapped = np.asarray(network(images)).argmin(axis=1)
    with pytest.warns(UserWarning, match="right for 0 of 30 images.*in another order"):
        report = evaluate(network, images, swapped, preset="fast", progress=False)
    assert "in another order" in report.checks["the network is better than a guess"][0]
