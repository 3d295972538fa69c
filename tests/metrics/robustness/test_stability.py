"""Maps under a little noise."""

import numpy as np
import pytest
import tensorflow as tf

from tfrobust.errors import InputError
from tfrobust.explanations import VanillaGradients
from tfrobust.metrics import Stability

IMAGES = np.random.default_rng(1).random((4, 8, 8, 1), np.float32)


def test_stability(linear) -> None:
    np.testing.assert_allclose(Stability(rmse=0.3)(linear, VanillaGradients(), IMAGES), 1)

    def cubic(images: tf.Tensor) -> tf.Tensor:
        return linear(images**3)

    still, shaken = (Stability(rmse=rmse)(cubic, VanillaGradients(), IMAGES) for rmse in (0.0, 0.3))
    np.testing.assert_allclose(still, 1)
    assert (shaken < 0.9).all()
    with pytest.raises(InputError, match=r"at least 1 draw, got 0.01, 0"):
        Stability(draws=0)
