"""Walks on gradients: one step of DDN and FMN by hand in NumPy, sizes against the closed form."""

import math
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from marks import quick

import tfrobust
from tfrobust.attacks import DDN, FMN, L2Min, LinearizedMargin, fmn, gradient_walk
from tfrobust.attacks.gradient_walk import GradientWalk, InBall, Visit, cosine
from tfrobust.attacks.minimum_norm import Best
from tfrobust.core.bounds import Bounds

KINDS = [DDN, FMN]
rng = np.random.default_rng(0)
DELTA = rng.normal(size=(3, 2, 2, 1)).astype(np.float32)
WEIGHTS = rng.normal(size=(4, 3)).astype(np.float32)
GRADIENT = rng.normal(size=(3, 2, 2, 1)).astype(np.float32)


def lengths(values: np.ndarray) -> np.ndarray:
    return np.linalg.norm(values.reshape(len(values), -1), axis=1)[:, None, None, None]


def seen(**known) -> Visit:
    """What a walk sees, of which only a part matters."""
    nothing = Best(tf.zeros_like(DELTA), tf.fill([3], np.inf))
    fields = {"images": None, "bounds": None, "value": None, "met": None, "size": None}
    return Visit(**{**fields, "gradient": GRADIENT, "best": nothing, **known})


def test_a_step_of_ddn_is_along_the_gradient_and_onto_the_new_sphere() -> None:
    met = np.array([True, False, True])
    radius = np.array([0.5, 1.0, 2.0], np.float32)
    here = seen(met=met)
    state = DDN.advance(here, InBall(DELTA, radius), {"length": 0.3, "change": 0.05})
    np.testing.assert_allclose(state.radius, [0.475, 1.05, 1.9], rtol=1e-6)
    moved = DELTA + 0.3 * GRADIENT / lengths(GRADIENT)
    by_hand = moved / lengths(moved) * np.array([0.475, 1.05, 1.9])[:, None, None, None]
    np.testing.assert_allclose(state.delta, by_hand, rtol=1e-5)


def test_a_step_of_fmn_is_down_the_margin_and_into_the_ball() -> None:
    # The first is in a ball that ends after .1, of the others the balls are far larger.
    best = Best(tf.zeros_like(DELTA), tf.constant([0.1, np.inf, np.inf]))
    here = seen(
        value=tf.constant([9.0, 99.0, 99.0]),
        met=np.array([True, False, False]),
        size=lengths(DELTA).ravel(),
        best=best,
    )
    radius = np.array([1.0, 100.0, np.inf], np.float32)
    state = FMN.advance(here, InBall(DELTA, radius), {"length": 0.3, "change": 0.05})
    moved = DELTA - 0.3 * GRADIENT / lengths(GRADIENT)
    moved[0] *= 0.1 / lengths(moved)[0]
    np.testing.assert_allclose(state.delta, moved, rtol=1e-5)


def test_the_next_ball_of_fmn() -> None:
    # Never met; not met now, but before; met; met, beyond the smallest found.
    here = seen(
        size=tf.constant([0.5, 0.9, 0.97, 1.0]),
        value=tf.constant([3.0, 3.0, -1.0, -1.0]),
        gradient=np.ones((4, 2, 2, 1), np.float32),  # of norm 2
        met=tf.constant([False, False, True, True]),
        best=Best(tf.zeros((4, 2, 2, 1)), tf.constant([np.inf, 2.0, 0.97, 0.8])),
    )
    radius = fmn.new_radius(here, tf.constant([np.inf, 1.0, 1.0, 1.0]), 0.05)
    np.testing.assert_allclose(radius, [1.001 * (0.5 + 3.0 / 2), 1.05, 0.95, 0.8], rtol=1e-6)
    # Within bounds it grows before the criterion was ever met, too, where that is more.
    before = tf.constant([2.5, 1.0, 1.0, 1.0])
    radius = fmn.new_radius(here._replace(bounds=(0.0, 1.0)), before, 0.05)
    np.testing.assert_allclose(radius, [1.05 * 2.5, 1.05, 0.95, 0.8], rtol=1e-6)


def test_the_cosine() -> None:
    np.testing.assert_allclose(
        [cosine(1, 0.01, share) for share in (0, 0.25, 0.5, 1)],
        [1, 0.01 + 0.99 * (1 + np.sqrt(0.5)) / 2, 0.505, 0.01],
        rtol=1e-6,
    )


@pytest.mark.parametrize("name", ["Misclassified", "BelowChance", "TargetClass"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("bounds", quick([None, (0.0, 1.0)], (0.0, 1.0)))
def test_sizes_of_known_networks(kind, name: str, bounds: Bounds | None, known) -> None:
    """With two classes every criterion has the same distance."""
    result = kind(bounds=bounds, batch_size=5)(
        known.model, known.images, known.labels, known.criterion(name)
    )
    ratio = result.rmse / known.distances
    assert (ratio > 1 - 1e-4).all(), "smaller than the smallest possible"
    # The nearest points lie inside the box.
    assert (ratio < 1.01).all(), ratio
    assert not result.late.any()


@pytest.mark.parametrize("kind", KINDS)
def test_a_confident_network_is_attacked(kind, linear) -> None:
    # Logits 2,000 times as large: softmax is 1 in float32, what is left of gradients is tiny.
    scale = 30 / np.abs(np.diff(linear.model(linear.images))).min()

    def confident(images: tf.Tensor) -> tf.Tensor:
        return scale * linear.model(images)

    result = kind(batch_size=5)(confident, linear.images, linear.labels)
    # Only the nearest has a cross-entropy gradient that is not 0 in float32.
    assert result.found.sum() >= 1
    if kind is FMN:
        assert (result.rmse / linear.distances < 1.01).all()


@pytest.mark.parametrize("kind", KINDS)
def test_found_in_the_second_half_is_late(kind, quadratic) -> None:
    # DDN's sphere grows by 5 % a step, FMN's first steps are short of the plane.
    options = {DDN: {"radius": 0.02}, FMN: {"step_size": 0.004}}[kind]
    result = kind(steps=60, line_steps=0, batch_size=5, **options)(
        quadratic.model, quadratic.images, quadratic.labels
    )
    assert result.late.any() and not result.late.all()
    assert result.found[result.late].all()


def test_fmn_begins_with_what_is_known(quadratic) -> None:
    model, images, labels, distances = quadratic
    first = L2Min(steps=30, path=5.0, batch_size=5)(model, images, labels)
    again = FMN(steps=3, batch_size=5)(model, images, labels, start=first)
    alone = FMN(steps=3, step_size=1e-4, batch_size=5)(model, images, labels)
    assert first.found.all() and again.found.all() and not alone.found.all()
    assert (again.rmse <= first.rmse).all() and (again.rmse / distances > 1 - 1e-4).all()


def test_a_start_outside_the_box_is_cut_or_left(quadratic) -> None:
    model, images, labels, _ = quadratic
    start = FMN(batch_size=5)(model, images, labels)
    far = start.__class__(images + 3.0, np.ones(5), np.ones(5, bool), np.zeros(5, bool))
    result = FMN(bounds=(0.0, 1.0), steps=20, batch_size=5)(model, images, labels, start=far)
    assert result.adversarials.min() >= -1e-6 and result.adversarials.max() <= 1 + 1e-6


@pytest.mark.parametrize("kind", quick([LinearizedMargin, DDN], LinearizedMargin))
def test_visits_are_the_same_with_and_without_python_in_between(
    kind: type[GradientWalk], monkeypatch: pytest.MonkeyPatch
) -> None:
    network = tfrobust.as_classifier(lambda pixels: tf.reshape(pixels, (-1, 4)) @ WEIGHTS)
    images = rng.uniform(size=(5, 2, 2, 1)).astype(np.float32)
    classes = np.argmax(images.reshape(5, 4) @ WEIGHTS, axis=1)
    program, calls, found = kind.program, [], []

    def counted(*arguments: Any) -> tuple[Any, Best]:
        calls.append(arguments)
        return program(*arguments)

    monkeypatch.setattr(kind, "program", counted)
    for at_a_time in (1, 4, 1000):
        monkeypatch.setattr(gradient_walk, "visits_at_a_time", lambda found=at_a_time: found)
        found.append(kind(steps=12)(network, images, classes).adversarials)
    # Visits, and calls: one by one; by fours; the first half and the second one.
    visits = kind(steps=12).visits
    assert len(calls) == visits + 2 * math.ceil(visits / 2 / 4) + 2
    for other in found[1:]:
        np.testing.assert_array_equal(other, found[0])
