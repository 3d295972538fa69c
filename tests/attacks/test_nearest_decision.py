"""The distance to the nearest decision as one graph, against the closed form."""

import numpy as np
import tensorflow as tf

from tfrobust.attacks.nearest_decision import nearest_decision

rng = np.random.default_rng(2)
WEIGHTS = rng.normal(size=(16, 5)).astype(np.float32)
IMAGES = rng.random((7, 4, 4, 1), np.float32)


def plane(images: tf.Tensor) -> tf.Tensor:
    return tf.reshape(images - 0.5, (-1, 16)) @ WEIGHTS


def test_a_linear_network_against_the_closed_form() -> None:
    logits = np.asarray(plane(IMAGES), np.float64)
    predicted = logits.argmax(axis=1)
    distances = np.full_like(logits, np.inf)
    for row, own in enumerate(predicted):
        for rival in set(range(5)) - {int(own)}:
            steep = np.linalg.norm(WEIGHTS[:, own].astype(np.float64) - WEIGHTS[:, rival])
            distances[row, rival] = (logits[row, own] - logits[row, rival]) / steep / 4
    graph = tf.function(lambda images: nearest_decision(plane, images))
    size, found, rival = (part.numpy() for part in graph(IMAGES))
    assert found.all() and size.dtype == np.float32
    # Two percent beyond the plane, then eight halvings; at the boundary itself rounding decides.
    np.testing.assert_allclose(size, distances.min(axis=1), rtol=0.005)
    np.testing.assert_array_equal(rival, distances.argmin(axis=1))


def test_where_nothing_is_found() -> None:
    def constant(images: tf.Tensor) -> tf.Tensor:
        return 0 * plane(images) + tf.constant([0.0, 3.0, 0.0, 0.0, 0.0])

    size, found, rival = nearest_decision(constant, tf.constant(IMAGES))
    assert not found.numpy().any() and np.isinf(size).all()
    np.testing.assert_array_equal(rival, np.full(7, -1))
