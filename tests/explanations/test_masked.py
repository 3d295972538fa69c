"""RISE, LIME and Score-CAM against their formulas, where NumPy or all masks can work them out."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfrobust.explanations import LIME, RISE, ScoreCAM

rng = np.random.default_rng(8)
SHAPE = (6, 8, 2)
IMAGES = rng.random((2, *SHAPE), np.float32)
# A confidence that is linear in the pixels, from .2 to .8.
WEIGHTS = rng.uniform(-0.6, 0.6, SHAPE) / np.prod(SHAPE)


def shares(images: np.ndarray) -> np.ndarray:
    return 0.5 + (np.asarray(images, np.float64) * WEIGHTS).sum(axis=(-3, -2, -1))


def model(images: tf.Tensor) -> tf.Tensor:
    """The logarithms of a share that is linear in the pixels, and of the rest."""
    share = 0.5 + tf.reduce_sum(images * tf.constant(WEIGHTS, tf.float32), axis=(1, 2, 3))
    return tf.math.log(tf.stack([1 - share, share], axis=-1))


def enlarged(cells: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Bilinear, by TensorFlow's own resizing."""
    return tf.image.resize(cells[..., None].astype(np.float32), size).numpy()[..., 0]


def test_rise_is_unbiased_about_all_masks_and_cuts() -> None:
    # 2 × 2 cells of 3 × 4 pixels have 16 masks, which are cut at 4 × 5 places.
    patterns = np.array(list(itertools.product([0, 1], repeat=4))).reshape(16, 2, 2)
    large = enlarged(patterns, (9, 12))
    every = np.concatenate(
        [large[:, top : top + 6, left : left + 8] for top in range(4) for left in range(5)]
    )
    masked = IMAGES[0] * every[..., None] + 0.25 * (1 - every[..., None])
    whole = np.einsum("shw,s->shw", every, shares(masked)) / 0.5
    expected, spread = whole.mean(axis=0), whole.std(axis=0)
    np.testing.assert_allclose(every.mean(axis=0), 0.5, atol=1e-6)  # also at the borders
    found = RISE(samples=4000, cells=2, fill=0.25, batch_size=500)(model, IMAGES[:1], 1).map[0]
    # Of 48 pixels none is five standard errors off.
    assert (np.abs(found - expected) < 5 * spread / np.sqrt(4000)).all()
    other = RISE(samples=4000, cells=2, fill=0.25, seed=1, batch_size=500)(model, IMAGES[:1], 1)
    assert 0 < np.abs(found - other.map[0]).max() < 0.05


def test_lime_is_the_weighted_ridge_regression_of_scikit_learn() -> None:
    linear_model = pytest.importorskip("sklearn.linear_model")
    method = LIME(samples=40, patch=3, ridge=0.5, fill=0.25)
    found = method(model, IMAGES, 1)
    (kept,) = method.plan(None, IMAGES[:1])
    assert kept.shape == (40, 6) and kept[0].all()
    seen = np.repeat(np.repeat(kept.reshape(40, 2, 3), 3, axis=1), 3, axis=2)[:, :, :8, None]
    distances = 1 - np.sqrt(kept.mean(axis=1))
    for image, map_ in zip(IMAGES, found.map, strict=True):
        answers = shares(seen * image + (1 - seen) * 0.25)
        fitted = linear_model.Ridge(alpha=0.5).fit(
            kept, answers, sample_weight=np.exp(-(distances**2) / 0.25**2)
        )
        # Coefficients are about .02; the confidences are of float32.
        np.testing.assert_allclose(map_[::3, ::3].ravel(), fitted.coef_, atol=1e-6)


def test_lime_finds_the_shares_of_a_linear_confidence() -> None:
    found = LIME(samples=200, patch=2, ridge=1e-6, fill=0.25)(model, IMAGES, 1)
    parts = (WEIGHTS * (IMAGES - 0.25)).sum(axis=-1).reshape(2, 3, 2, 4, 2).sum(axis=(2, 4))
    np.testing.assert_allclose(found.map[:, ::2, ::2], parts, atol=1e-6)
    # Every pixel of a patch has the patch's value.
    np.testing.assert_array_equal(found.map[:, 1::2, 1::2], found.map[:, ::2, ::2])


def test_score_cam_weighs_channels_by_the_logits_that_they_leave() -> None:
    images = keras.Input(SHAPE)
    features = keras.layers.Conv2D(3, 2, strides=2, activation="relu", name="blocks")(images)
    outputs = keras.layers.Dense(2)(keras.layers.Flatten()(features))
    keras.utils.set_random_seed(2)
    network = keras.Model(images, outputs)
    blocks = keras.Model(images, features)(IMAGES).numpy()
    expected = []
    for image, maps in zip(IMAGES, np.moveaxis(blocks, -1, 1), strict=True):
        large = enlarged(maps, SHAPE[:2])
        low, high = large.min(axis=(1, 2), keepdims=True), large.max(axis=(1, 2), keepdims=True)
        seen = np.where(high > low, (large - low) / np.where(high > low, high - low, 1), 0)
        masked = seen[..., None] * image + (1 - seen[..., None]) * 0.25
        logits = network(masked.astype(np.float32)).numpy()[:, 1].astype(np.float64)
        weights = np.exp(logits - logits.max())
        one = enlarged((weights @ maps.reshape(3, -1)).reshape(1, 3, 4), SHAPE[:2])[0]
        expected.append(one / one.max())
    found = ScoreCAM(fill=0.25, batch_size=2)(network, IMAGES, 1).map
    assert found.max() == 1
    np.testing.assert_allclose(found, expected, atol=1e-5)  # float32, values up to 1


@pytest.mark.parametrize("method", [RISE(samples=6, cells=2), LIME(samples=6, patch=3)])
def test_what_attacks_follow_is_the_method_itself(method: RISE | LIME) -> None:
    targets = np.array([1, 0], np.int32)
    whole = method.attribution(model, tf.constant(IMAGES), tf.constant(targets))
    np.testing.assert_allclose(method(model, IMAGES, targets).attribution, whole, atol=1e-6)
