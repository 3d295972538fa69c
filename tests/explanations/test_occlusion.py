"""Occlusion against covering patches by hand."""

import numpy as np
import pytest
import tensorflow as tf

from tfrobust.explanations import Occlusion

rng = np.random.default_rng(5)
WEIGHTS = rng.normal(size=(5 * 7 * 2, 3)).astype(np.float32)
IMAGES = rng.random((3, 5, 7, 2), np.float32)


def model(images: tf.Tensor) -> tf.Tensor:
    return tf.reshape(images, (-1, 70)) @ WEIGHTS


def confidence(images: np.ndarray, target: int) -> np.ndarray:
    logits = images.reshape(-1, 70).astype(np.float64) @ WEIGHTS
    shares = np.exp(logits - logits.max(-1, keepdims=True))
    return (shares / shares.sum(-1, keepdims=True))[:, target]


@pytest.mark.parametrize("patch", [1, 3, 9])
def test_each_patch_gets_what_covering_it_costs(patch: int) -> None:
    found = Occlusion(patch=patch, fill=0.25, batch_size=50)(model, IMAGES, 1)
    expected = np.zeros((3, 5, 7))
    for top in range(0, 5, patch):
        for left in range(0, 7, patch):
            covered = IMAGES.copy()
            covered[:, top : top + patch, left : left + patch] = 0.25
            drop = confidence(IMAGES, 1) - confidence(covered, 1)
            expected[:, top : top + patch, left : left + patch] = drop[:, None, None]
    np.testing.assert_allclose(found.map, expected, atol=1e-5)


def test_the_patch_is_an_eighth_of_the_longer_side() -> None:
    assert len(Occlusion().patches(32, 32)) == 64
    assert len(Occlusion().patches(8, 64)) == 8
    assert len(Occlusion().patches(1, 3)) == 3
    covered = Occlusion(patch=3).patches(5, 7).sum(axis=0)
    np.testing.assert_array_equal(covered, 1)  # every pixel by one patch
