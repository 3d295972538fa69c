import keras
import numpy as np
import pytest

from tfrobust.training.optimizer import L2SGD, step_schedule


def test_steps_equal_pytorchs_rule() -> None:
    rng = np.random.default_rng(0)
    weight, velocity = rng.normal(size=5), np.zeros(5)
    variable = keras.Variable(weight, dtype="float32")
    optimizer = L2SGD(0.1, momentum=0.9, l2=0.01)
    for _ in range(5):
        gradient = rng.normal(size=5)
        optimizer.apply([keras.ops.convert_to_tensor(gradient, "float32")], [variable])
        velocity = 0.9 * velocity + gradient + 0.01 * weight
        weight = weight - 0.1 * velocity
    # float32 against float64
    np.testing.assert_allclose(variable.numpy(), weight, rtol=1e-5)


def test_schedule_divides_by_ten_at_the_shares() -> None:
    schedule = step_schedule(0.1, (0.85, 0.975), 200)
    rates = [float(schedule(step)) for step in (0, 169, 171, 194, 196)]
    assert rates == pytest.approx([0.1, 0.1, 0.01, 0.01, 0.001])
    assert step_schedule(0.1, (), 200) == 0.1


def test_configuration_round_trip() -> None:
    optimizer = L2SGD(0.3, momentum=0.5, l2=0.2)
    copy = L2SGD.from_config(optimizer.get_config())
    assert (float(copy.learning_rate), copy.momentum, copy.l2) == pytest.approx((0.3, 0.5, 0.2))
