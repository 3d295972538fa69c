"""Fidelity measures and their tables."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfrobust.errors import InputError
from tfrobust.explanations import Adversarial, GradCAM, VanillaGradients
from tfrobust.metrics import (
    ExplanationAttack,
    Following,
    Table,
    compare,
    compare_attacked,
    following,
    stability,
)
from tfrobust.metrics.table import interval

rng = np.random.default_rng(1)
WEIGHTS = rng.normal(size=(36, 3)).astype(np.float32)
IMAGES = rng.random((4, 6, 6, 1), np.float32)


def linear(images: tf.Tensor) -> tf.Tensor:
    return tf.reshape(images, (-1, 36)) @ WEIGHTS


@pytest.fixture(scope="module")
def network() -> keras.Model:
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [
            keras.Input((6, 6, 1)),
            keras.layers.Conv2D(3, 3, activation="softplus"),
            keras.layers.Flatten(),
            keras.layers.Dense(3),
        ]
    )


def test_the_confidence_of_a_linear_network_follows() -> None:
    found = following(linear, IMAGES, rhos=(0.02, 0.05, 0.1))
    assert found.surer.shape == found.less.shape == (4, 4)
    np.testing.assert_array_equal(found.surer[0], found.less[0])
    assert found.rises.all() and found.falls.all() and found.monotonic.all()


def test_what_following_means() -> None:
    rhos = np.array([0.1, 0.2])
    surer = np.array([[0.5, 0.5, 0.5], [0.6, 0.4, 0.7], [0.7, 0.6, 0.6]], np.float32)
    less = np.array([[0.5, 0.5, 0.5], [0.4, 0.4, 0.4], [0.3, 0.3, 0.6]], np.float32)
    found = Following(rhos, surer, less)
    assert found.rises.tolist() == [True, False, True]
    assert found.falls.tolist() == [True, True, False]
    assert found.monotonic.tolist() == [True, False, False]


def test_stability() -> None:
    # The gradient of a linear network is the same everywhere.
    np.testing.assert_allclose(stability(linear, VanillaGradients(), IMAGES, rmse=0.3), 1)

    def cubic(images: tf.Tensor) -> tf.Tensor:
        return linear(images**3)

    still, shaken = (stability(cubic, VanillaGradients(), IMAGES, rmse=rmse) for rmse in (0.0, 0.3))
    np.testing.assert_allclose(still, 1)
    assert (shaken < 0.9).all()
    with pytest.raises(InputError, match="draw"):
        stability(linear, VanillaGradients(), IMAGES, draws=0)


def test_rising_sizes_are_wanted() -> None:
    with pytest.raises(InputError, match="rise"):
        following(linear, IMAGES, rhos=(0.1, 0.05))


def test_the_table_of_methods(network) -> None:
    methods = [Adversarial(rho=0.1), VanillaGradients(), GradCAM()]
    found = compare(network, IMAGES, methods, rhos=(0.05,))
    assert list(found.rows) == [method.name for method in methods]
    for method, fields in zip(methods, found.rows.values(), strict=True):
        assert len(fields) == len(found.columns) == 6
        followed = isinstance(method, Adversarial)
        assert all((values is not None) == followed for values in fields[:2])
        assert all(values.shape == (4,) for values in fields[2:])
    printed = str(found)
    assert printed.count("\n| ") >= 4 and "| – | – |" in printed and "4 images" in printed


def test_the_table_of_attacked_methods(network) -> None:
    attack = ExplanationAttack(rho=0.05, steps=3, restarts=1)
    found = compare_attacked(attack, network, IMAGES, [VanillaGradients(), GradCAM()])
    assert list(found.rows) == ["Vanilla Gradients", "Grad-CAM"]
    noise, attacked, *_ = found.rows["Vanilla Gradients"]
    assert noise.shape == attacked.shape == (4,)
    assert "gradients of the network" in found.note


@pytest.mark.parametrize("images, methods", [(IMAGES[:0], [GradCAM()]), (IMAGES, [GradCAM()] * 2)])
def test_tables_refuse(network, images: np.ndarray, methods: list) -> None:
    with pytest.raises(InputError, match="another name"):
        compare(network, images, methods)
    with pytest.raises(InputError, match="another name"):
        compare_attacked(ExplanationAttack(), network, images, methods)


def test_the_interval_is_the_percentile_bootstraps() -> None:
    values = rng.normal(2, 1, 400)
    low, high = interval(values)
    # Of a mean of 400 normal values: 1.96/20 to either side, and the bootstrap's own noise.
    assert low == pytest.approx(values.mean() - 0.098, abs=0.02)
    assert high == pytest.approx(values.mean() + 0.098, abs=0.02)
    assert interval(np.ones(5)) == (1.0, 1.0)


def test_a_table_prints_as_markdown() -> None:
    table = Table(("a", "b"), {"one": (np.array([0.25, 0.25]), None)}, "A note.")
    assert str(table).splitlines() == [
        "| method | a | b |",
        "| --- | --- | --- |",
        "| one | 0.25 [0.25, 0.25] | – |",
        "",
        "A note.",
    ]
