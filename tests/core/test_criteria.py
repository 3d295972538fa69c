"""Criteria against NumPy by hand, as values that can be compared, and in compiled programs."""

import dataclasses
import gc

import numpy as np
import pytest
import tensorflow as tf

from tfrobust.core.criteria import BelowChance, LabelFlip, Misclassified, TargetClass
from tfrobust.core.criterion import Criterion
from tfrobust.errors import InputError

rng = np.random.default_rng(0)
LOGITS = rng.normal(size=(50, 4)).astype(np.float32)
CLASSES = rng.integers(4, size=50).astype(np.int32)
ROWS = np.arange(50)

EXACT = LOGITS.astype(np.float64)
SHARES = np.exp(EXACT) / np.exp(EXACT).sum(axis=1, keepdims=True)
OWN = EXACT[ROWS, CLASSES]
OTHERS = np.where(np.arange(4) == CLASSES[:, None], -np.inf, EXACT)


def odds(shares: np.ndarray) -> np.ndarray:
    return np.log(shares / (1 - shares))


BY_HAND = {
    Misclassified(): (
        EXACT.argmax(axis=1) != CLASSES,
        -np.log(SHARES[ROWS, CLASSES]),
        OWN - OTHERS.max(axis=1),
    ),
    BelowChance(): (
        SHARES[ROWS, CLASSES] <= 1 / 4,
        -np.log(SHARES[ROWS, CLASSES]),
        odds(SHARES[ROWS, CLASSES]) - odds(np.float64(1 / 4)),
    ),
    TargetClass(1): (
        EXACT.argmax(axis=1) == CLASSES,
        np.log(SHARES[ROWS, CLASSES]),
        OTHERS.max(axis=1) - OWN,
    ),
}


TURNED = np.where(CLASSES[:, None] % 2 == 1, 1, -1) * (EXACT - np.log(0.7 / 0.3))
LABEL = TURNED[ROWS, CLASSES // 2]
# Of a class 2·label + truth: the label's logit against the threshold's.
BY_HAND[LabelFlip(0, 0.7)] = (LABEL <= 0, np.log1p(np.exp(-LABEL)), LABEL)


@pytest.mark.parametrize("criterion", BY_HAND, ids=repr)
def test_by_hand(criterion: Criterion) -> None:
    met, loss, margin = BY_HAND[criterion]
    np.testing.assert_array_equal(criterion.met(LOGITS, CLASSES), met)
    # Float32 against float64: logits up to 3, an exponential and a logarithm.
    np.testing.assert_allclose(criterion.loss(LOGITS, CLASSES), loss, atol=2e-6)
    np.testing.assert_allclose(criterion.margin(LOGITS, CLASSES), margin, atol=2e-6)
    assert met.any() and not met.all()
    np.testing.assert_array_equal(margin <= 0, met)


def test_rivals_by_hand() -> None:
    rivals = Misclassified().rivals(LOGITS, CLASSES).numpy()
    np.testing.assert_array_equal(rivals, np.argsort(-OTHERS, axis=1)[:, :3])
    towards = EXACT[ROWS, rivals[:, 1]]
    margin = Misclassified().rival_margin(LOGITS, CLASSES, rivals[:, 1])
    np.testing.assert_allclose(margin, OWN - towards, atol=1e-6)
    beyond = BelowChance().rival_margin(LOGITS, CLASSES, rivals[:, 1])
    np.testing.assert_allclose(beyond, margin + np.log(LOGITS.shape[1] - 1) / 2, rtol=1e-6)
    margin = TargetClass(1).rival_margin(LOGITS, CLASSES, rivals[:, 1])
    np.testing.assert_allclose(margin, towards - OWN, atol=1e-6)


def test_criteria_are_frozen_values() -> None:
    assert Misclassified() == Misclassified() != BelowChance()
    assert TargetClass([1, 2]) == TargetClass(np.array([1, 2])) != TargetClass([2, 1])
    assert len({Misclassified(), Misclassified(), TargetClass(1), TargetClass(np.int64(1))}) == 2
    with pytest.raises(dataclasses.FrozenInstanceError):
        TargetClass(1).targets = 2


def test_classes_are_labels_or_targets() -> None:
    labels = np.array([3, 1, 0])
    assert Misclassified().classes(labels).dtype == np.int32
    np.testing.assert_array_equal(BelowChance().classes(labels), labels)
    np.testing.assert_array_equal(TargetClass(2).classes(labels), [2, 2, 2])
    np.testing.assert_array_equal(TargetClass([2, 0, 1]).classes(labels), [2, 0, 1])


@pytest.mark.parametrize(
    ("targets", "message"), [(1.5, "whole numbers; got float64"), ([[1, 2]], r"of shape \(1, 2\)")]
)
def test_targets_that_are_no_classes_are_refused(targets, message: str) -> None:
    with pytest.raises(InputError, match=message):
        TargetClass(targets)


@dataclasses.dataclass(frozen=True)
class Confident(Misclassified):
    """Misclassified by a margin of kappa."""

    kappa: float = 0.0

    def met(self, logits: tf.Tensor, classes: tf.Tensor) -> tf.Tensor:
        return self.margin(logits, classes) <= 0

    def margin(self, logits: tf.Tensor, classes: tf.Tensor) -> tf.Tensor:
        return super().margin(logits, classes) + self.kappa


class Plain(Misclassified):
    """A criterion whose author wrote no dataclass."""

    def __init__(self, kappa) -> None:
        object.__setattr__(self, "kappa", kappa)

    def margin(self, logits: tf.Tensor, classes: tf.Tensor) -> tf.Tensor:
        return super().margin(logits, classes) + self.kappa


@pytest.mark.parametrize("compiled", [False, True])
def test_equal_criteria_share_a_program_and_others_do_not(compiled: bool) -> None:
    @tf.function(jit_compile=compiled)
    def margins(criterion: Criterion, logits: tf.Tensor, classes: tf.Tensor) -> tf.Tensor:
        return criterion.margin(logits, classes)

    def traces(*criteria: Criterion) -> int:
        for criterion in criteria:
            margins(criterion, LOGITS, CLASSES)
            del criterion
            gc.collect(1)  # the next one must not need the one before
        return margins.experimental_get_tracing_count()

    assert traces(Misclassified(), Misclassified(), Misclassified()) == 1
    assert traces(Confident(1.0), Confident(2.0), Confident(1.0), Confident(2.0)) == 3
    assert traces(Plain(1.0), Plain(2.0), Plain(1.0)) == 5
    # An array cannot be hashed: the configuration tells it.
    assert traces(Plain(np.ones(50)), Plain(np.ones(50)), Plain(np.zeros(50))) == 7
    # Targets reach programs as classes.
    assert traces(TargetClass(0), TargetClass(1), TargetClass([1] * 50)) == 8
    assert traces(Misclassified(), BelowChance()) == 9
    found = [
        margins(kind(kappa), LOGITS, CLASSES) for kind in (Confident, Plain) for kappa in (1.0, 2.0)
    ]
    plain = margins(Misclassified(), LOGITS, CLASSES)
    for margin, kappa in zip(found, (1.0, 2.0, 1.0, 2.0), strict=True):
        np.testing.assert_allclose(margin, plain + kappa, atol=1e-6)
