"""CLEVER against distances that are known."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfrobust.attacks import LinearizedMargin
from tfrobust.certification import clever_score
from tfrobust.errors import InputError

COMPILED = True  # XLA's zeros times infinity are NaN, TensorFlow's not always
SHAPE = (4, 4, 1)
IMAGES = np.random.default_rng(0).uniform(0.2, 0.8, (8, *SHAPE)).astype(np.float32)


def linear(num_classes: int) -> keras.Model:
    network = keras.Sequential(
        [keras.Input(SHAPE), keras.layers.Flatten(), keras.layers.Dense(num_classes)]
    )
    weights = np.random.default_rng(1).normal(0, 2, (16, num_classes)).astype(np.float32)
    network.set_weights([weights, -weights.T @ np.full(16, 0.5, np.float32)])
    return network


def test_linear_network_against_the_closed_form() -> None:
    network = linear(4)
    weights, bias = network.get_weights()
    logits = IMAGES.reshape(len(IMAGES), -1) @ weights + bias
    labels = logits.argmax(axis=1)
    truth, rival = [], []
    for row, label in zip(logits, labels, strict=True):
        others = np.array([k for k in range(4) if k != label])
        steepness = np.linalg.norm(weights[:, [label]] - weights[:, others], axis=0)
        distances = (row[label] - row[others]) / steepness
        truth.append(distances.min())
        rival.append(others[distances.argmin()])
    found = clever_score(network, IMAGES, labels, batches=10, samples=10, progress=False)
    # A linear network's gradient is the same everywhere: nothing is left to estimate.
    np.testing.assert_allclose(found.l2, truth, rtol=1e-3)
    np.testing.assert_allclose(found.rmse, found.l2 / 4)
    assert found.rival.tolist() == rival
    assert found.rivals == 3 and found.capped == found.poor == found.unsettled == 0
    assert "an estimate and no bound" in str(found) and "\n" not in str(found)


def sphere(images: tf.Tensor) -> tf.Tensor:
    """Class 0 within a distance of 1 of grey: logits 1 − |x − ½|², 0."""
    inside = 1 - tf.reduce_sum(tf.square(images - 0.5), axis=(1, 2, 3))
    return tf.stack([inside, tf.zeros_like(inside)], axis=1)


def test_quadratic_network_is_near_the_truth() -> None:
    """At d from the centre the boundary is 1 − d away; the steepest slope up to there is 2."""
    direction = np.array([1, 1, 1, -1], np.float32).reshape(2, 2, 1) / 2
    for d in (0.6, 0.8):
        image = (0.5 + d * direction)[None]
        found = clever_score(
            sphere, image, [0], radius=1 - d, batches=60, samples=100, progress=False
        )
        # The steepest slope is 2(d + R), the score (1 − d²)/2: below 1 − d by (1 − d)/2.
        assert found.l2[0] == pytest.approx((1 - d**2) / 2, rel=0.02)
        assert found.l2[0] == pytest.approx(1 - d, rel=(1 - d) / 2 + 0.02)


def test_score_is_not_above_what_an_attack_finds() -> None:
    """Not in general: on this smooth network, with the ball not smaller than the distance."""
    keras.utils.set_random_seed(3)
    network = keras.Sequential(
        [
            keras.Input(SHAPE),
            keras.layers.Flatten(),
            keras.layers.Dense(16, "tanh"),
            keras.layers.Dense(3),
        ]
    )
    labels = np.asarray(network(IMAGES)).argmax(axis=1)
    attacked = LinearizedMargin(steps=15, batch_size=8)(network, IMAGES, labels)
    found = clever_score(network, IMAGES, labels, batches=20, samples=50, progress=False)
    assert np.all(found.rmse <= attacked.rmse * 1.01)
    assert np.median(found.rmse / attacked.rmse) > 0.5


def test_misclassified_and_far_images() -> None:
    network = linear(3)
    labels = np.asarray(network(IMAGES)).argmax(axis=1)
    labels[0] = (labels[0] + 1) % 3
    found = clever_score(
        network, IMAGES, labels, radius=1e-4, batches=10, samples=5, progress=False
    )
    assert found.l2[0] == 0 and found.rival[0] == labels[0]
    assert found.l2[1:].tolist() == [1e-4] * 7 and found.capped == 7


def test_flat_networks_are_capped() -> None:
    found = clever_score(
        lambda images: tf.stack(
            [tf.reduce_sum(images * 0, (1, 2, 3)) + 2, images[:, 0, 0, 0] * 0], 1
        ),
        IMAGES[:1],
        [0],
        batches=10,
        samples=5,
        progress=False,
    )
    assert found.l2.tolist() == [5.0]


def test_the_same_in_shards() -> None:
    options = {"radius": 0.5, "batches": 12, "samples": 7, "progress": False}
    images = (0.5 + (IMAGES - 0.5) * 0.6).astype(np.float32)
    labels = np.zeros(8, int)
    whole = clever_score(sphere, images, labels, **options)
    part = clever_score(sphere, images[5:], labels[5:], numbers=[5, 6, 7], **options)
    np.testing.assert_array_equal(part.l2, whole.l2[5:])
    assert np.all(whole.l2 > 0)


def test_only_the_likeliest_rivals() -> None:
    network = linear(4)
    logits = np.asarray(network(IMAGES))
    labels = logits.argmax(axis=1)
    found = clever_score(network, IMAGES, labels, rivals=1, batches=10, samples=5, progress=False)
    assert found.rival.tolist() == np.argsort(logits, axis=1)[:, -2].tolist()
    assert found.rivals == 1


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"radius": 0.0}, "radius above 0"),
        ({"radius": np.inf}, "radius above 0"),
        ({"seed": -1}, "seed of 0 or above"),
        ({"batches": 9}, "at least 10 batches"),
        ({"samples": 0}, "at least 10 batches"),
        ({"rivals": 0}, "at least 10 batches"),
        ({"labels": [0]}, "8 labels"),
        ({"labels": [9] * 8}, "labels below 3"),
        ({"images": IMAGES + 1}, "pixels from 0 to 1"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_refusals(changes, words: str) -> None:
    given_ = {"images": IMAGES, "labels": [0] * 8, **changes}
    with pytest.raises(InputError, match=words):
        clever_score(linear(3), given_.pop("images"), given_.pop("labels"), **given_)


def test_gradients_that_are_not_finite() -> None:
    def roots(images: tf.Tensor) -> tf.Tensor:
        value = tf.sqrt(tf.reduce_min(images, axis=(1, 2, 3)))
        return tf.stack([value, value - 1], axis=1)

    with pytest.raises(InputError, match="finite gradients"):
        clever_score(roots, IMAGES[:1], [0], batches=10, samples=5, progress=False)
