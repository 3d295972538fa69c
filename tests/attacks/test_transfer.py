"""Transfer: another network's perturbations, scaled to this one."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from marks import quick

from tfrobust.attacks import (
    FMN,
    LinearizedMargin,
    Opaque,
    Transfer,
)
from tfrobust.core.bounds import Bounds
from tfrobust.errors import InputError

OPAQUE = Opaque(lambda images: images.mean(axis=(1, 2)), num_classes=2, name="numbers")


@pytest.mark.parametrize("kind", ["Misclassified", "BelowChance", "TargetClass"])
@pytest.mark.parametrize("bounds", quick([None, (0.0, 1.0)], (0.0, 1.0)))
def test_transfer_from_the_same_network_finds_its_sizes(
    kind: str, bounds: Bounds | None, known
) -> None:
    attack = Transfer(surrogate=known.model, attack=FMN(steps=60, bounds=bounds, batch_size=5))
    result = attack(known.decisions(), known.images, known.labels, known.criterion(kind))
    ratio = result.rmse / known.distances
    # Rounded logits move the boundary by 1e-4 of a logit.
    assert (ratio > 1 - 0.02).all() and (ratio < 1.05).all(), ratio
    if bounds:
        assert result.adversarials.min() >= 0 and result.adversarials.max() <= 1


@pytest.mark.slow
def test_transfer_scales_until_the_model_gives_way(quadratic) -> None:
    model, images, labels, distances = quadratic

    def smaller(images: tf.Tensor) -> tf.Tensor:
        """Another sphere around the same centre, of radius √0.5."""
        return model(images) - tf.constant([0.14, 0.0])

    inside = np.flatnonzero(np.asarray(smaller(images))[:, 0] > 0)
    assert len(inside) >= 2
    attack = Transfer(surrogate=smaller, attack=LinearizedMargin(steps=24, batch_size=5))
    result = attack(model, images[inside], labels[inside])
    # Both spheres' nearest points lie on the line from the centre.
    ratio = result.rmse / distances[inside]
    assert (ratio > 1 - 1e-4).all() and (ratio < 1.01).all(), ratio
    other_way = Transfer(surrogate=model, attack=LinearizedMargin(steps=24, batch_size=5))
    result = other_way(smaller, images[inside], labels[inside])
    truth = np.sqrt(0.5) - (0.8 - 4 * distances[inside])
    ratio = result.rmse * 4 / truth
    assert (ratio > 1 - 1e-4).all() and (ratio < 1.01).all(), ratio


def test_what_the_surrogate_has_wrong_is_not_found(linear) -> None:
    model, images, labels, _ = linear
    attack = Transfer(
        surrogate=lambda images: -model(images), attack=LinearizedMargin(batch_size=5)
    )
    result = attack(model, images, labels)
    assert not result.found.any() and np.isinf(result.rmse).all()


def test_a_start_is_of_the_model_and_not_of_the_surrogate(linear) -> None:
    model, images, labels, _ = linear
    start = LinearizedMargin(batch_size=5)(model, images, labels)
    attack = Transfer(surrogate=linear.decisions(0.1), attack=LinearizedMargin(batch_size=5))
    result = attack(model, images, labels, start=start)
    assert not result.found.any()  # the surrogate gives no gradient, hence no direction


def test_the_inner_attack_has_the_say() -> None:
    attack = Transfer(
        surrogate=tf.identity, attack=LinearizedMargin(bounds=(0.0, 1.0), batch_size=7), factor=4
    )
    assert attack.bounds and attack.batch_size == 7
    assert attack.name == f"transfer of {LinearizedMargin().name}"
    assert attack.scales[0] == 0.125 and attack.scales[-1] == 4
    assert (np.diff(np.log(attack.scales)) < np.log(1.5) + 1e-6).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"factor": 0.5}, "a factor of at least 1 and line_steps not below 0, got 0.5, 12"),
        ({"line_steps": -1}, "line_steps not below 0, got 32.0, -1"),
        ({"surrogate": 3}, "expected a network: .* got int 3"),
        ({"surrogate": OPAQUE}, "a surrogate with a gradient, .* but numbers only gives answers"),
    ],
)
def test_transfer_refuses(options: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Transfer(**{"surrogate": tf.identity, **options})


def test_a_model_that_only_answers_is_attacked_through_a_surrogate(linear) -> None:
    model, images, labels, distances = linear
    blind = Opaque(lambda images: np.asarray(model(images)), num_classes=2)
    attack = Transfer(surrogate=model, attack=FMN(steps=60, batch_size=5))
    ratio = attack(blind, images, labels).rmse / distances
    assert (ratio > 1 - 1e-4).all() and (ratio < 1.01).all(), ratio
    with pytest.raises(InputError, match="a model with a gradient"):
        attack.attack(blind, images, labels)


def test_surrogates_tell_attacks_apart() -> None:
    def made(seed: int) -> keras.Model:
        keras.utils.set_random_seed(seed)
        return keras.Sequential(
            [keras.Input((4, 4, 1)), keras.layers.Flatten(), keras.layers.Dense(2)]
        )

    assert Transfer(surrogate=made(0)) == Transfer(surrogate=made(0)) != Transfer(surrogate=made(1))
    assert Transfer(surrogate=made(0)) != Transfer(surrogate=made(0), attack=FMN())
    told = Transfer(surrogate=made(0), attack=FMN(steps=7)).config()
    assert told["attack"] == FMN(steps=7).config() and told["surrogate"]["class"] == "Sequential"
