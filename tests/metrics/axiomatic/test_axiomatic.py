"""The axioms on a linear network, where they can be worked out."""

import numpy as np
import pytest
import tensorflow as tf

from tfrobust.core.door import as_classifier
from tfrobust.errors import InputError
from tfrobust.explanations import GradientsInputs, VanillaGradients
from tfrobust.metrics import Completeness, InputInvariance, NonSensitivity

IMAGES = np.random.default_rng(1).random((3, 8, 8, 1), np.float32)
WEIGHTS = np.random.default_rng(1).normal(size=(64, 3)).astype(np.float32)
TARGETS = np.array([2, 0, 1])
GRADIENT = WEIGHTS.T[TARGETS].reshape(3, 8, 8, 1)


def test_completeness(linear) -> None:
    exact = (IMAGES - 0.25) * GRADIENT
    found = Completeness(fill=0.25)(linear, IMAGES, TARGETS, exact)
    np.testing.assert_allclose(found, 0, atol=1e-5)  # float32 logits of size 5
    more = Completeness(fill=0.25)(linear, IMAGES, TARGETS, exact + 0.5)
    np.testing.assert_allclose(more, 32, atol=1e-5)
    np.testing.assert_allclose(
        Completeness(fill=0.25)(linear, IMAGES, TARGETS, exact[..., 0]), found
    )
    with pytest.raises(InputError, match=r"fill from 0 to 1, got 2"):
        Completeness(fill=2)


def test_non_sensitivity() -> None:
    """Only the upper half of the image matters to this network."""
    half = np.repeat(np.arange(8) < 4, 8)[:, None]

    def upper(images: tf.Tensor) -> tf.Tensor:
        return tf.reshape(images, (-1, 64)) @ (WEIGHTS * half).astype(np.float32)

    right = np.repeat(np.abs(WEIGHTS * half).T[TARGETS].reshape(3, 8, 8), 1, axis=0)
    asked = {"patch": 2, "draws": 2, "score": "logit"}
    np.testing.assert_array_equal(NonSensitivity(**asked)(upper, IMAGES, TARGETS, right), 0)
    everywhere = NonSensitivity(**asked)(upper, IMAGES, TARGETS, np.ones((3, 8, 8)))
    np.testing.assert_allclose(everywhere, 0.5)
    turned = NonSensitivity(**asked)(upper, IMAGES, TARGETS, right[:, ::-1])
    np.testing.assert_allclose(turned, 1)
    with pytest.raises(InputError, match="threshold of at least 0, got -1"):
        NonSensitivity(threshold=-1)


def test_input_invariance(linear) -> None:
    """A gradient does not know of the shift; times the input, it does."""
    found = InputInvariance(shift=0.25)(linear, VanillaGradients(), IMAGES, TARGETS)
    np.testing.assert_allclose(found, 0, atol=1e-6)
    lowered = IMAGES * 0.75
    change = np.abs(0.25 * GRADIENT).sum(axis=(1, 2, 3))
    signed = GradientsInputs.signed
    before, after = lowered * GRADIENT, (lowered + 0.25) * GRADIENT
    if not signed:
        change = np.abs(np.abs(after) - np.abs(before)).sum(axis=(1, 2, 3))
    np.testing.assert_allclose(
        InputInvariance(shift=0.25)(linear, GradientsInputs(), IMAGES, TARGETS),
        change / np.abs(before).sum(axis=(1, 2, 3)),
        rtol=1e-4,
    )
    # Logits stay logits, also where they look like probabilities.

    def near(images: tf.Tensor) -> tf.Tensor:
        some = 0.5 + linear(images)[:, 0] / 1000
        return tf.stack([some, 1 - some], axis=-1)

    told = as_classifier(near, output="logits")
    np.testing.assert_allclose(InputInvariance()(told, VanillaGradients(), IMAGES), 0, atol=1e-4)
    with pytest.raises(InputError, match="shift above 0 and below 1, got 1"):
        InputInvariance(shift=1)
