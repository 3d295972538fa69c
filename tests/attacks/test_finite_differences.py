"""Gradients by finite differences: against true ones, and what a walk on them finds."""

import numpy as np
import pytest
import tensorflow as tf

from tfrobust.attacks import BelowChance, Blend, FiniteDifferences, LinearizedMargin, Opaque
from tfrobust.attacks.finite_differences import cosines, lowest, with_gradient
from tfrobust.core.classifier import Classifier
from tfrobust.core.gradients import input_gradient
from tfrobust.errors import InputError

SHAPE = (4, 5, 3)
rng = np.random.default_rng(0)
IN, OUT = (rng.normal(size=size).astype(np.float32) for size in ((60, 12), (12, 3)))
IMAGES = rng.random((4, *SHAPE), np.float32)


def curved(images: tf.Tensor) -> tf.Tensor:
    return tf.tanh(tf.reshape(images - 0.5, (-1, 60)) @ IN / 2) @ OUT


def lead(logits: tf.Tensor) -> tf.Tensor:
    return logits[:, 0] - logits[:, 1]


def test_cosines_are_a_turn_of_the_axes() -> None:
    rows = cosines(7).astype(np.float64)
    np.testing.assert_allclose(rows @ rows.T, np.eye(7), atol=1e-6)
    np.testing.assert_allclose(rows[0], 7**-0.5, rtol=1e-6)
    # The k-th row changes its sign k times.
    assert [int((np.diff(np.sign(row)) != 0).sum()) for row in rows] == list(range(7))


def test_the_lowest_frequencies_come_first() -> None:
    found = lowest((4, 6, 3), 72)
    assert sorted(map(tuple, found)) == [tuple(one) for one in np.ndindex(4, 6, 3)]
    assert found[:3].tolist() == [[0, 0, 0], [0, 0, 1], [0, 0, 2]]
    # Along the longer side a frequency is lower, and colours come later than brightness.
    assert found[3:5].tolist() == [[0, 1, 0], [1, 0, 0]]
    np.testing.assert_array_equal(lowest((4, 6, 3), 9), found[:9])


@pytest.mark.parametrize("directions", [7, 60, 1000])
def test_gradients_against_true_ones(directions: int) -> None:
    model = with_gradient(Classifier(curved, name="curved"), directions, 1e-3)
    _, estimated = input_gradient(model, tf.constant(IMAGES), lead)
    _, true = input_gradient(curved, tf.constant(IMAGES), lead)
    rows, columns, colours = (cosines(size) for size in SHAPE)
    basis = np.stack([
        np.einsum("h,w,c->hwc", rows[row], columns[column], colours[colour])
        for row, column, colour in lowest(SHAPE, directions)
    ])  # fmt: skip
    within = np.einsum("bhwc,mhwc,mijk->bijk", true, basis, basis)
    # One-sided differences at 1e-3: half of it times a curvature of some tens.
    np.testing.assert_allclose(estimated, within, atol=0.02 * np.abs(true).max())


@pytest.mark.parametrize("criterion", [None, pytest.param(BelowChance(), marks=pytest.mark.slow)])
def test_a_model_that_only_answers_is_attacked_as_if_it_gave_gradients(criterion) -> None:
    opaque = Opaque(
        lambda images: curved(images).numpy(), input_shape=(None, *SHAPE), num_classes=3
    )
    labels = np.argmax(curved(IMAGES), axis=-1)
    walk = LinearizedMargin(steps=24, rivals=2, bounds=(0.0, 1.0), batch_size=4)
    blind = FiniteDifferences(attack=walk, directions=60, delta=1e-3)
    found = blind(opaque, IMAGES, labels, criterion)
    true = walk(curved, IMAGES, labels, criterion)
    assert blind.bounds == (0.0, 1.0) and blind.batch_size == 4
    np.testing.assert_array_equal(found.found, true.found)
    # Walks on gradients that differ by a percent end a little apart on the same boundary.
    np.testing.assert_allclose(found.rmse, true.rmse, rtol=0.02)
    assert found.adversarials.min() >= 0 and found.adversarials.max() <= 1


@pytest.mark.slow
def test_fewer_directions_find_larger_perturbations() -> None:
    labels = np.argmax(curved(IMAGES), axis=-1)
    walk = LinearizedMargin(steps=12, rivals=2, batch_size=4)
    few, all_of_them = (
        FiniteDifferences(attack=walk, directions=directions)(curved, IMAGES, labels)
        for directions in (6, 60)
    )
    # A random plane has a tenth of its gradient in six of sixty directions: 10 ** 0.5 times.
    assert (few.rmse > 1.3 * all_of_them.rmse).all()


def test_what_it_refuses() -> None:
    with pytest.raises(InputError, match="that follows gradients, got blend"):
        FiniteDifferences(attack=Blend(IMAGES))
    with pytest.raises(InputError, match="directions of at least 1, got 0"):
        FiniteDifferences(directions=0)
    with pytest.raises(InputError, match="a delta above 0"):
        FiniteDifferences(delta=0.0)
