"""Tables of several methods."""

import numpy as np
import pytest

from tfrobust.errors import InputError
from tfrobust.explanations import Adversarial, GradCAM, VanillaGradients
from tfrobust.metrics import Manipulation, compare, compare_manipulated

IMAGES = np.random.default_rng(1).random((4, 8, 8, 1), np.float32)


@pytest.mark.slow
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


@pytest.mark.slow
def test_the_table_of_attacked_methods(network) -> None:
    attack = Manipulation(rho=0.05, steps=3, restarts=1)
    found = compare_manipulated(attack, network, IMAGES, [VanillaGradients(), GradCAM()])
    assert list(found.rows) == ["Vanilla Gradients", "Grad-CAM"]
    noise, attacked, *_ = found.rows["Vanilla Gradients"]
    assert noise.shape == attacked.shape == (4,)
    assert "gradients of the network with softplus" in found.note


@pytest.mark.parametrize("images, methods", [(IMAGES[:0], [GradCAM()]), (IMAGES, [GradCAM()] * 2)])
def test_tables_refuse(network, images: np.ndarray, methods: list) -> None:
    with pytest.raises(InputError, match="another name"):
        compare(network, images, methods)
    with pytest.raises(InputError, match="another name"):
        compare_manipulated(Manipulation(), network, images, methods)
