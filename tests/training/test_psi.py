import math

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from tfrobust.training import PsiController


@settings(max_examples=25, deadline=None)
@given(st.lists(st.floats(1e-6, 20), min_size=1, max_size=30), st.floats(0.1, 3))
def test_controller_equals_the_formula(losses: list[float], target: float) -> None:
    controller = PsiController(loss_target=target)
    integral = 0.0
    for loss in losses:
        psi = controller.update(tf.constant(loss, tf.float32), 10)
        integral = max(0.0, integral + min(1.0, max(-0.01, -math.log(loss / target))))
        # float32 sums of at most 30 terms up to 1
        assert float(controller.integral) == pytest.approx(integral, abs=1e-4)
        assert float(psi) == pytest.approx(220 * math.exp(0.02 * integral), rel=1e-4)


def test_published_end_points() -> None:
    controller = PsiController()
    for integral, psi in ((208.5, 14_240), (251.7, 33_778)):
        controller.integral.assign(integral)
        # The published r are rounded to .1, which is .2 % of ψ.
        assert float(controller.psi) == pytest.approx(psi, rel=2e-3)


def test_default_target_is_one_and_a_half_for_ten_classes() -> None:
    controller = PsiController()
    controller.update(tf.constant(1.4967), 10)  # 0.65·ln 10
    assert float(controller.integral) == pytest.approx(0, abs=1e-4)
    controller.update(tf.constant(1.4), 10)
    assert float(controller.integral) > 0


def test_a_loss_that_is_no_number_stays_visible() -> None:
    controller = PsiController()
    assert np.isnan(controller.update(tf.constant(np.nan), 10))


def test_no_gradient_flows_through_psi() -> None:
    controller, loss = PsiController(), tf.Variable(1.0)
    with tf.GradientTape() as tape:
        psi = controller.update(loss * 0.5, 10)
    assert tape.gradient(psi, loss) is None


def test_configuration_round_trip() -> None:
    controller = PsiController(loss_target=0.7, initial=100, gain=0.1, better=2, worse=0.5)
    copy = PsiController.from_config(controller.get_config())
    assert copy.get_config() == controller.get_config()
    assert keras.saving.get_registered_name(PsiController) == "tfrobust>PsiController"


@pytest.mark.parametrize("name", ["loss_target", "initial", "better", "worse"])
def test_bad_constants(name: str) -> None:
    with pytest.raises(ValueError, match="above 0"):
        PsiController(**{name: 0.0})
