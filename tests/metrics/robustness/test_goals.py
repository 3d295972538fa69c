"""Goals of attacks on maps: scores by their formulas, and walks that get there."""

import numpy as np
import pytest
import tensorflow as tf

from tfrobust.errors import InputError
from tfrobust.explanations import VanillaGradients
from tfrobust.metrics import (
    GivenMap,
    Goal,
    Manipulation,
    MassCentre,
    RankOrder,
    SameMap,
    TopPixels,
    top_k_overlap,
)

rng = np.random.default_rng(5)
BEFORE, AFTER = rng.normal(size=(2, 3, 6, 5)).astype(np.float32)
IMAGES = rng.uniform(0.1, 0.9, (4, 8, 8, 1)).astype(np.float32)


def scored(goal: Goal, maps: np.ndarray, before: np.ndarray) -> np.ndarray:
    return goal.score(tf.constant(maps), tf.constant(goal.reference(before))).numpy()


def test_top_pixels_by_hand() -> None:
    expected = []
    for before, after in zip(BEFORE, AFTER, strict=True):
        mass = np.maximum(after, 0)
        expected.append(mass.ravel()[np.argsort(-before.ravel())[:6]].sum() / mass.sum())
    goal = TopPixels(share=0.2)  # 6 of 30
    np.testing.assert_allclose(scored(goal, AFTER, BEFORE), expected, rtol=1e-5)
    np.testing.assert_array_equal(goal.loss(BEFORE, AFTER), top_k_overlap(BEFORE, AFTER, share=0.2))
    # A map without positive values holds nothing anywhere, and has a gradient that is finite.
    assert scored(goal, -np.abs(AFTER), BEFORE).tolist() == [0, 0, 0]


def test_centre_of_mass_by_hand() -> None:
    expected = []
    for maps in zip(BEFORE, AFTER, strict=True):
        centres = []
        for mass in (np.maximum(one, 0) / np.maximum(one, 0).sum() for one in maps):
            where = [(mass[i, j] * np.array([i, j])) for i in range(6) for j in range(5)]
            centres.append(np.sum(where, axis=0))
        expected.append(-np.linalg.norm(centres[0] - centres[1]))
    np.testing.assert_allclose(scored(MassCentre(), AFTER, BEFORE), expected, rtol=1e-4)
    np.testing.assert_allclose(MassCentre().loss(BEFORE, AFTER), expected, rtol=1e-6)
    # One point three to the right and four down.
    one, other = np.zeros((2, 1, 6, 5))
    one[0, 0, 1] = other[0, 4, 4] = 2
    assert MassCentre().loss(one, other) == pytest.approx([-5])


def test_a_given_map_by_hand() -> None:
    wanted = np.abs(BEFORE[0])
    expected = [
        1 - (wanted * one).sum() / np.linalg.norm(wanted) / np.linalg.norm(one) for one in AFTER
    ]
    goal = GivenMap(maps=wanted)
    np.testing.assert_allclose(scored(goal, AFTER, BEFORE), expected, rtol=1e-5)
    np.testing.assert_allclose(goal.loss(BEFORE, AFTER), expected, rtol=1e-6)
    np.testing.assert_allclose(GivenMap(maps=AFTER).loss(BEFORE, 3 * AFTER), 0, atol=1e-7)


def test_rank_order_and_the_same_map_want_the_opposite() -> None:
    ranks = np.argsort(np.argsort(BEFORE.reshape(3, -1))).astype(float)
    expected = [np.corrcoef(one, two.ravel())[0, 1] for one, two in zip(ranks, AFTER, strict=True)]
    np.testing.assert_allclose(scored(RankOrder(), AFTER, BEFORE), expected, rtol=1e-4)
    np.testing.assert_allclose(scored(SameMap(), AFTER, BEFORE), -np.array(expected), rtol=1e-4)
    np.testing.assert_array_equal(SameMap().loss(BEFORE, AFTER), -RankOrder().loss(BEFORE, AFTER))


@pytest.mark.parametrize("goal", ["top pixels", "centre of mass", "given map"])
@pytest.mark.slow
def test_attacks_reach_further_than_noise_and_keep_the_class(network, goal: str) -> None:
    method, predicted = VanillaGradients(), np.argmax(network(IMAGES), axis=-1)
    maps = method(network, IMAGES).map
    goals = {one.name: one for one in (TopPixels(), MassCentre(), GivenMap(maps=maps[::-1]))}
    attack = Manipulation(goal=goals[goal], rho=0.05, steps=30, restarts=1)
    found = attack(network, method, IMAGES)
    np.testing.assert_array_equal(np.argmax(network(found.adversarials), axis=-1), predicted)
    assert found.loss.mean() < found.noise_loss.mean() and (found.rmse <= 0.05 * 1.0001).all()
    assert (found.loss <= goals[goal].loss(maps, maps) + 1e-6).all()


@pytest.mark.slow
def test_another_class_under_the_same_map(network) -> None:
    attack = Manipulation(goal=SameMap(), rho=0.3, steps=40, restarts=1)
    found = attack(network, VanillaGradients(), IMAGES)
    before = np.argmax(network(IMAGES), axis=-1)
    changed = (found.adversarials != IMAGES).any(axis=(1, 2, 3))
    now = np.argmax(network(found.adversarials), axis=-1)
    np.testing.assert_array_equal(now != before, changed)
    assert changed.any()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: TopPixels(share=0.0), "a share above 0 and at most 1, got 0.0"),
        (lambda: GivenMap(maps=np.zeros((2, 2))), "some that are 0 everywhere"),
        (lambda: GivenMap(maps=np.ones(3)), r"got shape \(3,\)"),
        (lambda: GivenMap(maps=np.ones((2, 2))).reference(BEFORE), r"given maps of shape \(3, 6"),
    ],
)
def test_refuses(make, message: str) -> None:
    with pytest.raises(InputError, match=message):
        make()
