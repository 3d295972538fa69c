"""CleverHans' PGD just below sizes that are the smallest possible, or are not."""

import numpy as np
import pytest

from tfrobust.attacks import AttackResult, SecondOpinion
from tfrobust.attacks.second_opinion import WITHIN
from tfrobust.core.second_opinion import TAKEN_OVER


def start(known, times: float) -> AttackResult:
    """Of so many times the smallest possible size: straight across the flat boundary."""
    weights = known.model(np.eye(16, dtype=np.float32).reshape(16, 4, 4, 1)).numpy()
    weights -= known.model(np.zeros((1, 4, 4, 1), np.float32)).numpy()
    across = (weights[:, 1] - weights[:, 0]).reshape(1, 4, 4, 1)
    across /= np.sqrt(np.mean(across**2))
    towards = np.where(known.labels == 0, 1, -1)[:, None, None, None]
    delta = (times * known.distances)[:, None, None, None] * towards * across
    size = np.sqrt(np.mean(delta**2, axis=(1, 2, 3)))
    found = np.ones(5, bool)
    return AttackResult((known.images + delta).astype(np.float32), size, found, ~found)


def test_a_size_that_is_too_large_is_lowered(linear) -> None:
    result = SecondOpinion(batch_size=5)(
        linear.model, linear.images, linear.labels, start=start(linear, 1.5)
    )
    assert result.found.all() and not result.late.any()
    # PGD goes straight across a flat boundary. The line is then searched to 3e-5.
    np.testing.assert_allclose(result.rmse, linear.distances, rtol=1e-3)


def test_a_size_that_is_the_smallest_stays(linear) -> None:
    given = start(linear, 1.0005)
    result = SecondOpinion(batch_size=5)(linear.model, linear.images, linear.labels, start=given)
    assert result.found.all()
    assert np.all(result.rmse > TAKEN_OVER * given.rmse) and np.all(result.rmse <= given.rmse)


@pytest.mark.parametrize(("times", "tried"), [(2.0, 2.0 * WITHIN), (4.0, 4.0 * WITHIN)])
def test_the_ball_is_just_below_the_size_known(linear, times: float, tried: float) -> None:
    result = SecondOpinion(batch_size=5, line_steps=0)(
        linear.model, linear.images, linear.labels, start=start(linear, times)
    )
    # Without a last search the perturbation ends on the ball itself.
    np.testing.assert_allclose(result.rmse, tried * linear.distances, rtol=1e-4)


def test_what_nobody_knows_is_attacked_at_one_size(linear) -> None:
    result = SecondOpinion(batch_size=5)(linear.model, linear.images, linear.labels)
    np.testing.assert_array_equal(result.found, linear.distances < 0.03)
    assert result.found.any()
