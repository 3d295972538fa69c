"""The network of orthogonal layers, and the layers and the constraint that it is made of."""

from pathlib import Path

import keras
import numpy as np
import onnxruntime
import pytest
import tensorflow as tf

import tfrobust
from tfrobust.errors import InputError
from tfrobust.exporting import onnx
from tfrobust.models import MaxMin, Orthogonal, SpaceToDepth, SpatialShift, lipschitz_network
from tfrobust.training import MarginLoss

SHAPE = (18, 14, 1)
RNG = np.random.default_rng(0)
IMAGES = RNG.random((6, *SHAPE), np.float32)
LABELS = np.array([0, 1, 2, 0, 1, 2])


def unrolled(layer: keras.layers.Layer, shape: tuple[int, ...]) -> np.ndarray:
    """The matrix of a linear layer without bias: (values in, values out)."""
    size = int(np.prod(shape))
    unit = np.eye(size, dtype=np.float32).reshape(size, *shape)
    return np.asarray(layer(unit)).reshape(size, -1).astype(np.float64)


@pytest.fixture(scope="module")
def trained() -> tfrobust.RobustClassifier:
    """A small network after a few steps, large enough to move its weights."""
    keras.utils.set_random_seed(0)
    network = lipschitz_network(num_classes=3, input_shape=SHAPE, width=4, blocks=1)
    classifier = tfrobust.RobustClassifier(network)
    classifier.compile(keras.optimizers.SGD(0.05), MarginLoss(), jit_compile=False)
    classifier.fit(IMAGES, LABELS, batch_size=6, epochs=8, verbose=0)
    return classifier


def test_training_keeps_every_kernel_orthogonal(trained: tfrobust.RobustClassifier) -> None:
    fresh = lipschitz_network(num_classes=3, input_shape=SHAPE, width=4, blocks=1)
    kernels = [w for w in trained.network.get_weights() if w.ndim > 1]
    assert len(kernels) == 9
    for kernel, before in zip(kernels, (w for w in fresh.get_weights() if w.ndim > 1), strict=True):
        values = np.linalg.svd(kernel.reshape(-1, kernel.shape[-1]).astype(np.float64))[1]
        # Two steps of Björck's iteration leave the fourth power of how far a step went.
        np.testing.assert_allclose(values, 1, atol=1e-3)
        assert np.abs(kernel - before).max() > 1e-3


def test_the_margin_loss_trains_it(trained: tfrobust.RobustClassifier) -> None:
    history = trained.fit(IMAGES, LABELS, batch_size=6, epochs=8, verbose=0).history
    assert history["loss"][-1] < history["loss"][0] - 0.05


@pytest.mark.slow
def test_the_penalty_trains_beside_the_margin_loss() -> None:
    network = lipschitz_network(num_classes=3, input_shape=SHAPE, width=4, blocks=1)
    classifier = tfrobust.RobustClassifier(
        network, penalty=tfrobust.training.InputGradientPenalty(tandem=1.0)
    )
    classifier.compile(keras.optimizers.SGD(0.05), MarginLoss(), jit_compile=False)
    seen = classifier.fit(IMAGES, LABELS, batch_size=6, epochs=2, verbose=0).history
    assert all(loss > 0 for loss in seen["classification_loss"])
    assert seen["penalty"][0] > 0 and seen["psi"][0] > 0


@pytest.mark.parametrize("shape", [(6, 3), (3, 6), (2, 2, 3, 5), (5, 5)])
def test_the_constraint_finds_the_nearest_orthogonal_matrix(shape: tuple[int, ...]) -> None:
    matrix = RNG.normal(0, 1, shape).astype(np.float32)
    flat = matrix.reshape(-1, shape[-1])
    left, _, right = np.linalg.svd(flat, full_matrices=False)
    found = tf.constant(matrix)
    for _ in range(20):
        found = Orthogonal()(found)
    assert found.shape == shape
    # Float32, after forty multiplications.
    np.testing.assert_allclose(np.reshape(found, flat.shape), left @ right, atol=1e-5)


def test_the_constraint_takes_huge_and_zero_weights() -> None:
    for matrix in (1e6 * RNG.normal(0, 1, (4, 3)), np.zeros((4, 3))):
        found = Orthogonal()(tf.constant(matrix, tf.float32)).numpy()
        assert np.isfinite(found).all()
        assert np.linalg.svd(found)[1].max() < 1 + 1e-5


def test_a_shift_and_an_orthogonal_matrix_are_an_orthogonal_convolution() -> None:
    matrix = np.linalg.qr(RNG.normal(0, 1, (10, 10)))[0].astype(np.float32)
    mix = keras.layers.Conv2D(10, 1, use_bias=False)
    mix.build((None, 4, 5, 10))
    mix.set_weights([matrix[None, None]])
    shift = SpatialShift()
    both = unrolled(keras.Sequential([keras.Input((4, 5, 10)), shift, mix]), (4, 5, 10))
    kernel = np.zeros((3, 3, 10, 10), np.float32)
    offsets = [(y, x) for y in (-1, 0, 1) for x in (-1, 0, 1) if (y, x) != (0, 0)]
    for channel in range(10):
        y, x = offsets[channel] if channel < 8 else (0, 0)
        kernel[1 + y, 1 + x, channel] = matrix[channel]
    plain = keras.layers.Conv2D(10, 3, padding="same", use_bias=False)
    plain.build((None, 4, 5, 10))
    plain.set_weights([kernel])
    np.testing.assert_allclose(both, unrolled(plain, (4, 5, 10)), atol=1e-6)
    values = np.linalg.svd(both)[1]
    assert values[0] < 1 + 1e-6
    # Only what leaves the image is lost.
    assert np.sum(values > 1 - 1e-5) >= 4 * 5 * 10 - 8 * 2 * (4 + 5)


def test_space_to_depth_keeps_everything() -> None:
    matrix = unrolled(SpaceToDepth(), (4, 6, 2))
    np.testing.assert_array_equal(matrix @ matrix.T, np.eye(48))
    assert SpaceToDepth()(np.zeros((1, 4, 6, 2), np.float32)).shape == (1, 2, 3, 8)


def test_maxmin_sorts_pairs() -> None:
    values = np.array([[3.0, -1.0, 2.0, 5.0]], np.float32)
    np.testing.assert_array_equal(MaxMin()(values), [[3.0, 5.0, 2.0, -1.0]])


def test_its_gradient_is_as_long_as_the_distance_of_two_rows(
    trained: tfrobust.RobustClassifier,
) -> None:
    """Behind the first stage nothing is lost, so the bound on the margin is close to the truth."""
    images = tf.constant(IMAGES)
    with tf.GradientTape() as tape:
        tape.watch(images)
        logits = trained.network(images)
        margin = logits[:, 0] - logits[:, 1]
    gradient = np.asarray(tape.gradient(margin, images)).reshape(6, -1)
    rows = trained.network.get_layer("logits").kernel.numpy()
    bound = np.linalg.norm(rows[:, 0] - rows[:, 1])
    lengths = np.linalg.norm(gradient, axis=1)
    assert np.all(lengths < bound * (1 + 1e-3)) and np.all(lengths > 0.3 * bound)


def test_it_survives_saving_and_loading(trained: tfrobust.RobustClassifier, tmp_path: Path) -> None:
    trained.network.save(tmp_path / "network.keras")
    loaded = keras.models.load_model(tmp_path / "network.keras")
    np.testing.assert_array_equal(loaded(IMAGES), trained.network(IMAGES))
    constraints = [layer.kernel_constraint for layer in loaded.layers if hasattr(layer, "kernel")]
    assert {type(constraint) for constraint in constraints} == {Orthogonal}
    shift = SpatialShift(still=0.5)
    assert SpatialShift.from_config(shift.get_config()).still == 0.5


def test_a_classifier_with_the_margin_loss_survives(
    trained: tfrobust.RobustClassifier, tmp_path: Path
) -> None:
    trained.save(tmp_path / "classifier.keras")
    loaded = keras.models.load_model(tmp_path / "classifier.keras")
    assert loaded.loss.get_config() == MarginLoss().get_config()


def test_onnx_gives_the_same_logits(trained: tfrobust.RobustClassifier, tmp_path: Path) -> None:
    onnx.write_classifier(
        trained.network, tmp_path / "classifier.onnx", class_names=["a", "b", "c"]
    )
    session = onnxruntime.InferenceSession(tmp_path / "classifier.onnx")
    (logits,) = session.run(["logits"], {"images": IMAGES})
    # Sums of up to 64 products of size 1 in float32.
    np.testing.assert_allclose(logits, trained.network(IMAGES), atol=1e-5)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [({"width": 3}, "even width"), ({"blocks": 0}, "1 block"), ({"mean": (0.1, 0.2)}, "a mean")],
)
def test_a_network_that_cannot_be_is_refused(wrong: dict[str, object], words: str) -> None:
    with pytest.raises(InputError, match=words):
        lipschitz_network(input_shape=SHAPE, **wrong)


def test_maxmin_needs_pairs() -> None:
    with pytest.raises(InputError, match="even number of channels"):
        MaxMin()(np.zeros((2, 3), np.float32))


def test_a_share_that_stays_is_a_share() -> None:
    with pytest.raises(InputError, match="share"):
        SpatialShift(still=1.0)
