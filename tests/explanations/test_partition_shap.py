"""SHAP on a linear confidence, whose Shapley values are known."""

import sys

import numpy as np
import pytest
import tensorflow as tf

from tfrobust.core.door import as_classifier
from tfrobust.core.opaque import Opaque
from tfrobust.errors import ReportedError
from tfrobust.explanations import PartitionSHAP

rng = np.random.default_rng(6)
SHAPE = (4, 6, 2)
IMAGES = rng.random((3, *SHAPE), np.float32)
WEIGHTS = rng.uniform(-0.6, 0.6, SHAPE).astype(np.float32) / np.prod(SHAPE)


def model(images: tf.Tensor) -> tf.Tensor:
    """The logarithms of a share that is linear in the pixels, and of the rest."""
    share = 0.5 + tf.reduce_sum(images * WEIGHTS, axis=(1, 2, 3))
    return tf.math.log(tf.stack([1 - share, share], axis=-1))


def test_says_what_to_install_where_shap_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "shap", None)
    with pytest.raises(ReportedError, match=r"pip install 'tfrobust\[shap\]'"):
        PartitionSHAP()(model, IMAGES)


def test_shares_of_a_linear_confidence_are_weights_times_change() -> None:
    pytest.importorskip("shap", reason="the extra shap is not installed")
    state = np.random.get_state()[1].copy()
    found = PartitionSHAP(evaluations=4000, fill=0.25, batch_size=16)(model, IMAGES, [1, 0, 1])
    np.testing.assert_array_equal(np.random.get_state()[1], state)
    signs = np.array([1, -1, 1])[:, None, None, None]
    # Shares are about .01, of confidences in float32.
    np.testing.assert_allclose(found.attribution, signs * WEIGHTS * (IMAGES - 0.25), atol=1e-6)
    np.testing.assert_allclose(found.map, found.attribution.sum(axis=-1), atol=1e-7)


def test_few_evaluations_share_evenly_and_sum_up_to_the_whole() -> None:
    pytest.importorskip("shap", reason="the extra shap is not installed")
    method = PartitionSHAP(evaluations=20, fill=0.5, batch_size=8)
    found = method(model, IMAGES, 1)
    shares = np.exp(model(IMAGES))[:, 1] - np.exp(model(np.full_like(IMAGES, 0.5)))[:, 1]
    np.testing.assert_allclose(found.attribution.sum(axis=(1, 2, 3)), shares, atol=1e-6)
    assert all(len(np.unique(one)) < one.size for one in found.attribution)
    again = method(Opaque(lambda images: np.asarray(model(images))), IMAGES[1:2], 1)
    np.testing.assert_allclose(again.map, found.map[1:2], atol=1e-6)
    network, targets = as_classifier(model), tf.constant([1, 1, 1])
    within = tf.function(lambda images: method.attribution(network, images, targets))
    np.testing.assert_allclose(within(tf.constant(IMAGES)), found.attribution, atol=1e-6)
