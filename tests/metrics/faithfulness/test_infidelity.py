"""Infidelity on a linear network, where the gradient foretells everything."""

import numpy as np
import pytest

from tfrobust.errors import InputError
from tfrobust.metrics import Infidelity


def test_the_gradient_foretells_every_fall(linear) -> None:
    found = Infidelity(score="logit")(linear, linear.images, linear.classes, linear.gradient)
    np.testing.assert_allclose(found, 0, atol=1e-10)  # squares of float32's rounding


def test_nothing_said_and_a_wrong_scale_by_hand(linear) -> None:
    options = {"share": 1.0, "draws": 2, "fill": 0.3, "noise": 0.0, "score": "logit"}
    said = (linear.images, linear.classes)
    fall = linear.attributions(0.3).sum(axis=(1, 2))
    zeros = np.zeros((3, 4, 4))
    np.testing.assert_allclose(Infidelity(**options)(linear, *said, zeros), fall**2, rtol=1e-4)
    three = Infidelity(**options)(linear, *said, 3 * linear.gradient)
    np.testing.assert_allclose(three, (2 * fall) ** 2, rtol=1e-4)
    scaled = Infidelity(scaled=True, **options)(linear, *said, 3 * linear.gradient)
    np.testing.assert_allclose(scaled, 0, atol=1e-10)
    np.testing.assert_allclose(
        Infidelity(scaled=True, **options)(linear, *said, zeros), fall**2, rtol=1e-4
    )


def test_one_value_for_all_channels(linear) -> None:
    one = np.random.default_rng(2).normal(size=(3, 4, 4))
    found = [
        Infidelity(draws=3)(linear, linear.images, None, values)
        for values in (one, one[..., None], np.repeat(one[..., None], 2, axis=-1))
    ]
    np.testing.assert_allclose(found[1], found[0])
    np.testing.assert_allclose(found[2], found[0])


def test_refuses() -> None:
    with pytest.raises(InputError, match=r"noise of at least 0, got 0.2, -1"):
        Infidelity(noise=-1)
