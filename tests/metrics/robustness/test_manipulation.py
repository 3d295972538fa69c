"""Attacks on explanations keep what they promise, and find what there is to find."""

import numpy as np
import pytest

from tfrobust.core.opaque import Opaque
from tfrobust.errors import InputError
from tfrobust.explanations import (
    Adversarial,
    GradCAM,
    IntegratedGradients,
    Method,
    Occlusion,
    VanillaGradients,
)
from tfrobust.metrics import Manipulation, rank_correlation, top_k_overlap

rng = np.random.default_rng(3)
IMAGES = rng.uniform(0.1, 0.9, (4, 8, 8, 1)).astype(np.float32)


ATTACK = Manipulation(rho=0.03, steps=15, restarts=1)


@pytest.mark.parametrize(
    "method",
    [
        VanillaGradients(),
        pytest.param(GradCAM(), marks=pytest.mark.slow),
        pytest.param(Adversarial(rho=0.1), marks=pytest.mark.slow),
    ],
)
def test_the_class_stays_the_change_is_small_and_the_map_another(network, method: Method) -> None:
    found = ATTACK(network, method, IMAGES)
    predicted = np.argmax(network(IMAGES), axis=-1)
    np.testing.assert_array_equal(np.argmax(network(found.adversarials), axis=-1), predicted)
    # The size is rounded where float32 images are changed by it.
    assert (found.rmse <= 0.03 * (1 + 1e-4)).all()
    assert found.adversarials.min() >= 0 and found.adversarials.max() <= 1
    np.testing.assert_array_equal(found.before.target, predicted)
    np.testing.assert_array_equal(found.after.target, predicted)
    # What is told is what the network itself says of the changed images.
    again = method(network, found.adversarials, predicted)
    np.testing.assert_allclose(
        found.rank_correlation, rank_correlation(found.before.map, again.map), atol=1e-3
    )
    np.testing.assert_array_equal(
        found.top_k_overlap, top_k_overlap(found.before.map, found.after.map)
    )
    assert found.by_gradient.all() and found.surrogate == "the network with softplus"
    # Noise of the same size changes it less.
    assert found.rank_correlation.mean() < found.noise_rank_correlation.mean() - 0.05


@pytest.mark.slow
def test_followed_at_fewer_steps_the_attack_is_as_strong(
    network, monkeypatch: pytest.MonkeyPatch
) -> None:
    method = IntegratedGradients(steps=32)
    fewer = ATTACK(network, method, IMAGES)
    monkeypatch.setattr(IntegratedGradients, "coarse", lambda self: self)
    whole = ATTACK(network, method, IMAGES)
    # On the scale of what the attack does beyond noise.
    done = whole.noise_rank_correlation.mean() - whole.rank_correlation.mean()
    assert fewer.rank_correlation.mean() < whole.rank_correlation.mean() + 0.1 * done


def test_a_map_that_cannot_change_is_left(linear) -> None:
    found = ATTACK(linear, VanillaGradients(), IMAGES)
    np.testing.assert_allclose(found.rank_correlation, 1)
    np.testing.assert_array_equal(found.adversarials, IMAGES)
    assert not found.by_gradient.any() and found.surrogate == "the network"


def test_what_only_answers_is_searched_at_random(network) -> None:
    opaque = Opaque(
        lambda images: np.asarray(network(images)),
        name="answers",
        input_shape=(None, 8, 8, 1),
        num_classes=3,
    )
    found = ATTACK(opaque, Occlusion(patch=2), IMAGES)
    assert not found.by_gradient.any() and found.surrogate == "the network"
    assert (found.rank_correlation < 1).all() and (found.rmse <= 0.03 * (1 + 1e-4)).all()
    assert ATTACK(opaque, Occlusion(patch=2), IMAGES[:0]).rank_correlation.shape == (0,)


@pytest.mark.slow
def test_the_same_seed_gives_the_same_and_blocks_change_nothing(network) -> None:
    one = ATTACK(network, VanillaGradients(), IMAGES[:3])
    again = ATTACK(network, VanillaGradients(), IMAGES[:3])
    np.testing.assert_array_equal(one.adversarials, again.adversarials)
    # Starts are drawn for all images at once, in which blocks have no part.
    small = Manipulation(rho=0.03, steps=15, restarts=1, batch_size=2)
    parts = small(network, VanillaGradients(), IMAGES[:3])
    np.testing.assert_allclose(parts.rank_correlation, one.rank_correlation, atol=0.05)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rho": 0.0}, "a size .* got 0.0, 0.1, 30.0"),
        ({"rho": 2.0}, "a size .* got 2.0, 0.1, 30.0"),
        ({"top_share": 0.0}, "a share .* got 0.01, 0.0, 30.0"),
        ({"sharpness": 0.0}, "a sharpness above 0, got 0.01, 0.1, 0.0"),
        ({"steps": 0}, "steps, .* got 0, 2, 32"),
        ({"restarts": 0}, "restarts .* got 50, 0, 32"),
        ({"batch_size": 0}, "batch_size .* got 50, 2, 0"),
    ],
)
def test_refuses(options: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Manipulation(**options)
