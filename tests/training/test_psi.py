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


def test_the_first_steps_lower_psi_to_the_penalty_s_share() -> None:
    controller = PsiController(loss_target=9.0, initial_share=0.25, gain=0.0)
    rng = np.random.default_rng(0)
    losses, penalties = rng.uniform(1, 3, 30), rng.lognormal(0, 2, 30)
    penalties[3] = 0.0  # a network that does not see its images yet
    penalties[25] = 1e6  # which is too late to change anything
    psis = [
        float(controller.update(tf.constant(loss, tf.float32), 10, penalty=tf.constant(penalty)))
        for loss, penalty in zip(losses, penalties.astype(np.float32), strict=True)
    ]
    with np.errstate(divide="ignore"):
        most = np.minimum(220, losses * (0.25 / 0.75) / penalties)
    expected = np.minimum.accumulate(most)
    expected[20:] = expected[19]
    np.testing.assert_allclose(psis, expected, rtol=1e-5)
    shares = psis * penalties / (losses + psis * penalties)
    assert shares[0] == pytest.approx(0.25, rel=1e-5) and shares[:20].max() <= 0.25 + 1e-5
    assert most[25] < expected[25]


@pytest.mark.parametrize("share", [0.0, 1.0, -0.1])
def test_a_share_is_between_nothing_and_all(share: float) -> None:
    with pytest.raises(ValueError, match="initial_share between 0 and 1"):
        PsiController(initial_share=share)


def test_configuration_round_trip() -> None:
    controller = PsiController(
        loss_target=0.7, initial=100, initial_share=0.3, gain=0.1, better=2, worse=0.5
    )
    copy = PsiController.from_config(controller.get_config())
    assert copy.get_config() == controller.get_config()
    assert keras.saving.get_registered_name(PsiController) == "tfrobust>PsiController"


@pytest.mark.parametrize("name", ["loss_target", "initial", "better", "worse"])
def test_bad_constants(name: str) -> None:
    with pytest.raises(ValueError, match="above 0"):
        PsiController(**{name: 0.0})
