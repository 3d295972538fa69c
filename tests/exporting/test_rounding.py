"""Rounding: what a network itself makes of it is allowed to its forms, and no more."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfrobust.exporting import explanation_parity, logit_parity, rounding

rng = np.random.default_rng(0)
STEP = np.float32(2**-24)
IMAGES = rng.uniform(size=(8, 4, 4, 1)).astype(np.float32)


def steep(times: float) -> keras.Model:
    """A network that makes so many times more of a change."""
    network = keras.Sequential(
        [
            keras.Input((4, 4, 1)),
            keras.layers.Flatten(),
            keras.layers.Dense(16, activation=keras.ops.sin),
            keras.layers.Dense(3),
        ]
    )
    network.layers[1].kernel.assign(times * rng.normal(size=(16, 16)))
    return network


def test_neighbours_are_2_to_the_minus_24_away() -> None:
    images = np.stack([0 * IMAGES[0], *IMAGES[1:]])
    first, second = rounding.neighbours(images)
    for near in (first, second):
        assert near.dtype == np.float32 and near.shape == (8, 4, 4, 1)
        # The sum is rounded itself, by half of that at most.
        moved = np.abs(near.astype(np.float64) - images[:8]) * 2**24
        assert np.all((moved >= 0.5) & (moved <= 1.5))
    assert np.any(first != second)


@pytest.mark.parametrize(
    ("moved", "expected"),
    [(0.0, 1e-5), (3e-6, 1e-5), (1e-4, 3e-4), (0.1, 1e-3), (np.nan, 1e-5)],
)
def test_three_times_what_rounding_does_is_allowed(moved: float, expected: float) -> None:
    answers = iter([moved / 2, moved])
    found = rounding.allowed(1e-5, 1e-3, lambda near: next(answers), IMAGES)
    np.testing.assert_allclose(found, expected)


@pytest.mark.parametrize("times", [1.0, 300.0])
def test_a_form_that_rounds_otherwise_is_no_fault(times: float) -> None:
    network = steep(times)
    expected = np.asarray(network(IMAGES))

    def compared(error: np.ndarray) -> tuple[dict, list]:
        def form(inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
            count = len(inputs["images"])
            return {"logits": (expected + error)[:count]}

        return logit_parity.compare(
            network,
            IMAGES,
            class_names=["a", "b", "c"],
            classifiers={"form": form},
            command_line=form,
            picture_readers=[],
        )

    # Rounding of the pixels in another draw than those that the tolerance comes from.
    other = np.asarray(network(IMAGES + rng.choice([-STEP, STEP], IMAGES.shape)))
    figures, faults = compared(other - expected)
    assert not faults
    scale = max(1, figures["largest_logit"])
    if times == 1.0:
        np.testing.assert_allclose(figures["tolerance"], 1e-5 * scale)
    else:
        assert 3e-5 * scale < figures["form"] < figures["tolerance"] <= 1e-3 * scale
    # A hundredth of the logits is a fault, however far rounding moves them.
    _, faults = compared(0.01 * expected)
    assert faults


@pytest.mark.parametrize("times", [1.0, 3000.0])
def test_gradients_that_round_otherwise_are_no_fault(times: float) -> None:
    network = steep(times)
    targets = np.arange(8, dtype=np.int32) % 3

    def gradients(images: np.ndarray) -> np.ndarray:
        images = tf.constant(images)
        with tf.GradientTape() as tape:
            tape.watch(images)
            log_shares = tf.nn.log_softmax(network(images))
            loss = tf.reduce_sum(tf.gather(log_shares, targets, batch_dims=1))
        return tape.gradient(loss, images).numpy()

    def compared(gradient: np.ndarray) -> tuple[float, float]:
        outputs = {"explanation": IMAGES, "target": targets, "gradient": gradient}
        return explanation_parity._gradient_error(network, outputs)

    other = IMAGES + rng.choice([-STEP, STEP], IMAGES.shape)
    error, tolerance = compared(gradients(other))
    assert error <= tolerance
    assert (tolerance == 1e-3) is (times == 1.0)
    error, tolerance = compared(1.1 * gradients(IMAGES))
    np.testing.assert_allclose(error, 0.1, rtol=0.02)
    assert error > tolerance
