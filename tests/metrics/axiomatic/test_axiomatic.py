"""The axioms on a linear network, where they can be worked out."""

import numpy as np
import pytest
import tensorflow as tf

from tfrobust.core.door import as_classifier
from tfrobust.errors import InputError
from tfrobust.explanations import GradientsInputs, VanillaGradients
from tfrobust.metrics import completeness, input_invariance, non_sensitivity

IMAGES = np.random.default_rng(1).random((3, 8, 8, 1), np.float32)
WEIGHTS = np.random.default_rng(1).normal(size=(64, 3)).astype(np.float32)
TARGETS = np.array([2, 0, 1])
GRADIENT = WEIGHTS.T[TARGETS].reshape(3, 8, 8, 1)


def test_completeness(linear) -> None:
    exact = (IMAGES - 0.25) * GRADIENT
    found = completeness(linear, IMAGES, TARGETS, exact, fill=0.25)
    np.testing.assert_allclose(found, 0, atol=1e-5)  # float32 logits of size 5
    more = completeness(linear, IMAGES, TARGETS, exact + 0.5, fill=0.25)
    np.testing.assert_allclose(more, 32, atol=1e-5)
    np.testing.assert_allclose(
        completeness(linear, IMAGES, TARGETS, exact[..., 0], fill=0.25), found
    )
    with pytest.raises(InputError, match=r"fill from 0 to 1, got 2"):
        completeness(linear, IMAGES, TARGETS, exact, fill=2)


def test_non_sensitivity() -> None:
    """Only the upper half of the image matters to this network."""
    half = np.repeat(np.arange(8) < 4, 8)[:, None]

    def upper(images: tf.Tensor) -> tf.Tensor:
        return tf.reshape(images, (-1, 64)) @ (WEIGHTS * half).astype(np.float32)

    right = np.repeat(np.abs(WEIGHTS * half).T[TARGETS].reshape(3, 8, 8), 1, axis=0)
    asked = {"patch": 2, "draws": 2, "score": "logit"}
    np.testing.assert_array_equal(non_sensitivity(upper, IMAGES, TARGETS, right, **asked), 0)
    everywhere = non_sensitivity(upper, IMAGES, TARGETS, np.ones((3, 8, 8)), **asked)
    np.testing.assert_allclose(everywhere, 0.5)
    turned = non_sensitivity(upper, IMAGES, TARGETS, right[:, ::-1], **asked)
    np.testing.assert_allclose(turned, 1)
    with pytest.raises(InputError, match="threshold of at least 0, got -1"):
        non_sensitivity(upper, IMAGES, TARGETS, right, threshold=-1)


def test_input_invariance(linear) -> None:
    """A gradient does not know of the shift; times the input, it does."""
    found = input_invariance(linear, VanillaGradients(), IMAGES, TARGETS, shift=0.25)
    np.testing.assert_allclose(found, 0, atol=1e-6)
    lowered = IMAGES * 0.75
    change = np.abs(0.25 * GRADIENT).sum(axis=(1, 2, 3))
    signed = GradientsInputs.signed
    before, after = lowered * GRADIENT, (lowered + 0.25) * GRADIENT
    if not signed:
        change = np.abs(np.abs(after) - np.abs(before)).sum(axis=(1, 2, 3))
    np.testing.assert_allclose(
        input_invariance(linear, GradientsInputs(), IMAGES, TARGETS, shift=0.25),
        change / np.abs(before).sum(axis=(1, 2, 3)),
        rtol=1e-4,
    )
    # Logits stay logits, also where they look like probabilities.

    def near(images: tf.Tensor) -> tf.Tensor:
        some = 0.5 + linear(images)[:, 0] / 1000
        return tf.stack([some, 1 - some], axis=-1)

    told = as_classifier(near, output="logits")
    np.testing.assert_allclose(input_invariance(told, VanillaGradients(), IMAGES), 0, atol=1e-4)
    with pytest.raises(InputError, match="shift above 0 and below 1, got 1"):
        input_invariance(linear, VanillaGradients(), IMAGES, shift=1)
