"""An overview holds what its methods give."""

import keras
import numpy as np
import pytest

from tfrobust.errors import InputError
from tfrobust.explanations import (
    Adversarial,
    GradCAM,
    SmallestChange,
    VanillaGradients,
    explain,
    overview,
    rivals,
)

IMAGES = np.random.default_rng(0).random((2, 6, 6, 1), np.float32)


@pytest.fixture(scope="module")
def network() -> keras.Model:
    """A network without a layer that Grad-CAM could look at."""
    keras.utils.set_random_seed(0)
    return keras.Sequential([keras.Input((6, 6, 1)), keras.layers.Flatten(), keras.layers.Dense(3)])


def test_the_three_adversarial_explanations(network: keras.Model) -> None:
    found = overview(network, IMAGES, 2, rho=0.05, methods=[])
    np.testing.assert_array_equal(found.images, IMAGES)
    np.testing.assert_allclose(found.logits, network(IMAGES), atol=1e-6)
    rival = rivals(network, IMAGES, 2)
    for one, target, direction in (
        (found.surer, 2, 1),
        (found.less_sure, 2, -1),
        (found.rival, rival, 1),
    ):
        expected = explain(network, IMAGES, target, rho=0.05, direction=direction)
        np.testing.assert_array_equal(one.explanation, expected.explanation)
        np.testing.assert_array_equal(one.target, expected.target)
    assert found.others == {}


def test_further_methods_by_name(network: keras.Model) -> None:
    methods = [VanillaGradients(), SmallestChange(), Adversarial(rho=0.02)]
    found = overview(network, IMAGES, 1, methods=methods)
    assert list(found.others) == [method.name for method in methods]
    gradients, smallest, adversarial = found.others.values()
    assert gradients.target.tolist() == adversarial.target.tolist() == [1, 1]
    # The smallest change leads to whatever class is nearest.
    np.testing.assert_array_equal(smallest.target, SmallestChange()(network, IMAGES).target)
    assert [one.method for one in found.others.values()] == list(found.others)


def test_a_method_that_cannot_explain_the_network_is_none(network: keras.Model) -> None:
    assert overview(network, IMAGES).others == {GradCAM().name: None}


def test_refuses_what_explain_refuses(network: keras.Model) -> None:
    with pytest.raises(InputError, match="targets from 0 to 2"):
        overview(network, IMAGES, 3)
