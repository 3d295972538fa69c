"""The penalty outside of the evidence: by hand, within a step, and through a file."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfrobust.errors import InputError
from tfrobust.training import EvidencePenalty, RobustClassifier

rng = np.random.default_rng(7)
IMAGES = rng.integers(0, 256, (5, 4, 3, 2), np.uint8)
OUTSIDE = rng.random((5, 4, 3)) < 0.5
WEIGHTS = rng.normal(size=(24, 3)).astype(np.float32)


def model(images: tf.Tensor) -> tf.Tensor:
    return tf.reshape(images, (-1, 24)) @ WEIGHTS


def by_hand(points: np.ndarray, outside: np.ndarray, *, several: bool = False) -> float:
    """The mean over images of Σ (outside · ∂ Σ_k log p_k / ∂x)², of a linear model."""
    logits = points.reshape(-1, 24) @ WEIGHTS.astype(np.float64)
    if several:
        # log σ(z) + log σ(−z) has the slope 1 − 2σ(z).
        slopes = 1 - 2 / (1 + np.exp(-logits))
    else:
        shares = np.exp(logits - logits.max(axis=1, keepdims=True))
        slopes = 1 - 3 * shares / shares.sum(axis=1, keepdims=True)
    gradient = (slopes @ WEIGHTS.T).reshape(points.shape)
    return float(np.square(gradient * outside[..., None]).sum(axis=(1, 2, 3)).mean())


@pytest.mark.parametrize("several", [False, True])
def test_the_penalty_is_the_papers_between_marked_pictures_and_the_batch(several: bool) -> None:
    batch = rng.random((3, 4, 3, 2), np.float32)
    # The last picture alone, the batch's image alone, and a quarter of the third picture.
    draws = np.array([[0.99999999, 1.0], [0.3, 0.0], [0.5, 0.25]], np.float32)
    rows, share = [4, 1, 2], draws[:, 1, None, None, None]
    points = share * IMAGES[rows] / 255 + (1 - share) * batch
    penalty = EvidencePenalty(IMAGES, OUTSIDE, weight=2.5)
    found = penalty(model, tf.constant(batch), tf.constant(draws), several=several)
    expected = 2.5 * by_hand(points, OUTSIDE[rows], several=several)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.slow
def test_a_step_adds_it_to_the_loss_and_leaves_moving_averages_alone() -> None:
    def made() -> keras.Model:
        keras.utils.set_random_seed(1)
        layers = [keras.layers.Flatten(), keras.layers.Dense(8), keras.layers.BatchNormalization()]
        return keras.Sequential([keras.Input((4, 3, 2)), *layers, keras.layers.Dense(3)])

    images, labels = IMAGES.astype(np.float32) / 255, np.array([0, 1, 2, 1, 0])
    values, averages, weights = [], [], []
    for evidence in (None, EvidencePenalty(IMAGES, OUTSIDE, weight=0.5)):
        robust = RobustClassifier(made(), evidence=evidence)
        robust.compile(keras.optimizers.SGD(0.1), run_eagerly=True)
        values.append(robust.optimize(images, labels))
        averages.append(robust.network.layers[2].moving_mean.numpy())
        weights.append(robust.network.layers[1].kernel.numpy())
    assert "evidence" not in values[0] and values[1]["evidence"] > 0
    total = values[0]["loss"] + values[1]["evidence"]
    np.testing.assert_allclose(values[1]["loss"], total, rtol=1e-5)
    np.testing.assert_array_equal(averages[0], averages[1])
    assert np.abs(weights[0] - weights[1]).max() > 1e-3
    history = robust.fit(images, labels, batch_size=5, epochs=12, verbose=0).history
    assert history["evidence"][-1] < history["evidence"][0]


def test_it_survives_its_configuration() -> None:
    penalty = EvidencePenalty(IMAGES, OUTSIDE, weight=3.0)
    kept = keras.saving.serialize_keras_object(penalty)
    back = keras.saving.deserialize_keras_object(kept)
    np.testing.assert_array_equal(back.images, IMAGES)
    np.testing.assert_array_equal(back.outside, OUTSIDE)
    assert back.weight == 3.0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"images": IMAGES / 255}, "marked images as uint8"),
        ({"images": IMAGES[:0], "outside": OUTSIDE[:0]}, "marked images as uint8"),
        ({"outside": OUTSIDE[:, :2]}, "no evidence as bool"),
        ({"outside": OUTSIDE & (np.arange(5) != 3)[:, None, None]}, "number 3 of 5 has none"),
        ({"weight": 0.0}, "a weight above 0"),
    ],
)
def test_refuses(arguments: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        EvidencePenalty(**{"images": IMAGES, "outside": OUTSIDE, **arguments})


def test_more_than_a_graph_should_hold_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tfrobust.training.evidence.LARGEST", IMAGES.nbytes + OUTSIDE.nbytes)
    EvidencePenalty(IMAGES, OUTSIDE)
    more = np.concatenate([IMAGES, IMAGES[:1]]), np.concatenate([OUTSIDE, OUTSIDE[:1]])
    with pytest.raises(InputError, match="0 MiB, got 6"):
        EvidencePenalty(*more)


def test_images_of_another_size_are_refused() -> None:
    network = keras.Sequential([keras.Input((6, 3, 2)), keras.layers.Flatten()])
    network.add(keras.layers.Dense(3))
    with pytest.raises(InputError, match=r"the network's \(6, 3, 2\)"):
        RobustClassifier(network, evidence=EvidencePenalty(IMAGES, OUTSIDE))
